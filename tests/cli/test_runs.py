import json

import pytest

from chainrule.cli.console import out


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
    assert f"fc: {rows['fc']['fault']}" in table.out


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (200, ["run", "model", "data", "engine", "state", "epochs", "best val", "time", "created"]),
        (80, ["run", "model", "state", "epochs", "best val", "time"]),
        (60, ["run", "state", "epochs", "best val"]),
    ],
)
def test_on_a_narrow_screen_columns_are_left_out_and_long_names_are_cut(chainrule, trained, tmp_path, monkeypatch, width, columns):
    (tmp_path / "runs" / "fc").rename(tmp_path / "runs" / ("long" * 12))
    monkeypatch.setattr(out, "width", width)
    _, header, _, row, _ = chainrule("runs").out.splitlines()
    assert len(header) <= width
    assert [cell.strip() for cell in header.strip("┃").split("┃")] == columns
    cells = dict(zip(columns, [cell.strip() for cell in row.strip("│").split("│")], strict=True))
    assert cells["run"] == "long" * 12 if width == 200 else cells["run"].endswith("…")
    assert (cells["state"], cells["epochs"]) == ("finished", "2/2")
    assert cells["best val"].endswith(" %")


def test_a_file_in_the_place_of_the_folder_is_an_error(chainrule, tmp_path):
    (tmp_path / "notdir").touch()
    ended = chainrule("runs", "--runs", "notdir")
    assert (ended.code, ended.err) == (1, "error: notdir is not a folder; name the folder of all runs with --runs\n")
