import json

import pytest


def test_without_runs_it_says_how_to_make_one(chainrule):
    ended = chainrule("runs")
    assert (ended.code, ended.out) == (0, "no runs in runs; `chainrule train fully-connected` makes one\n")
    assert json.loads(chainrule("runs", "--json").out) == []


def test_a_run_is_a_row(chainrule, trained):
    line = next(line for line in chainrule("runs").out.splitlines() if "fc" in line)
    assert [cell.strip() for cell in line.strip("│").split("│")][:6] == ["fc", "fully-connected", "digits", "hand", "finished", "2/2"]


def test_its_json_has_numbers(chainrule, trained):
    (row,) = json.loads(chainrule("runs", "--json").out)
    assert (row["name"], row["state"], row["epochs"], row["of"], row["fault"]) == ("fc", "finished", 2, 2, None)
    assert 0 < row["best_val_accuracy"] <= 1
    assert row["seconds"] > 0


def test_the_folder_of_runs_is_an_option_or_in_the_environment(chainrule, trained, tmp_path, monkeypatch):
    (tmp_path / "runs").rename(tmp_path / "elsewhere")
    assert json.loads(chainrule("runs", "--json").out) == []
    assert len(json.loads(chainrule("runs", "--json", "--runs", "elsewhere").out)) == 1
    monkeypatch.setenv("CHAINRULE_RUNS", "elsewhere")
    assert len(json.loads(chainrule("runs", "--json").out)) == 1


SPOILED = {
    "no configuration": lambda run: (run / "config.json").unlink(),
    "other settings": lambda run: (run / "config.json").write_text('{"settings": [1]}'),
    "markup": lambda run: (run / "config.json").write_text('{"settings": {"model": "[/red]", "data": 3}}'),
    "another state": lambda run: (run / "checkpoints" / "last" / "state.json").write_text('{"state": {"best": "[/x]"}, "files": {}}'),
    "no json": lambda run: (run / "config.json").write_text("[/bold]"),
}


@pytest.mark.parametrize("fault", SPOILED)
def test_a_run_that_cannot_be_read_does_not_hide_the_others(chainrule, trained, tmp_path, fault):
    assert chainrule("train", "two-layer", "--epochs", "1", "--limit", "100", "--name", "whole").code == 0
    SPOILED[fault](tmp_path / "runs" / "fc")
    rows = {row["name"]: row for row in json.loads(chainrule("runs", "--json").out)}
    assert rows["whole"]["state"] == "finished"
    assert rows["fc"]["state"] == "unreadable"
    assert rows["fc"]["fault"]
    table = chainrule("runs")
    assert table.code == 0
    assert "unreadable" in table.out
