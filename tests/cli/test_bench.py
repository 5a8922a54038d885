import importlib.util
import json

import pytest

from chainrule.benchmarks import account, ladder, layers, squeezenet, steps

ROW = {"median_ms": 2.0, "best_ms": 1.5, "ratio": 1.0, "ratio_range": [1.0, 1.0], "peak_mib": 100.0}
SLOWER = ROW | {"ratio": 2.5, "ratio_range": [2.0, 3.0]}
RUNG = {"median_ms": 1234.5, "best_ms": 1.0, "gflops": 0.0123}


@pytest.fixture
def measured(monkeypatch):
    """Figures without measuring: what was asked for, as (table, names, options)."""
    asked = []

    def answer(table, result):
        def run(*arguments, **options):
            asked.append((table, arguments, options))
            return result

        return run

    rivals = {"hand": ROW, "torch": SLOWER | {"ratio": 3.5}, "torch-channels-last": SLOWER}
    monkeypatch.setattr(
        layers, "run", answer("layers", {"64, 32 -> 64, 3": {name: row | {"gflops": 851.0} for name, row in rivals.items()}})
    )
    monkeypatch.setattr(steps, "run", answer("steps", rivals | {"numpy": SLOWER}))
    monkeypatch.setattr(squeezenet, "run", answer("squeezenet", rivals))
    monkeypatch.setattr(steps, "scaling", answer("scaling", {"threads": ROW, "one-thread": ROW | {"ratio": 1.9}}))
    monkeypatch.setattr(steps, "first_steps", answer("first-step", {"compiled": 12.34, "cached": 1.2}))
    keys = ("step_ms", "arithmetic_ms", "memory_ms", "calls_ms", "page_faults", "gflop", "megabytes", "peak_gflops", "gigabytes_per_s")
    monkeypatch.setattr(account, "run", answer("account", dict.fromkeys(keys, 1.0) | {"step_ms": 4.0}))
    rungs = ({name: RUNG | {"factor": 12.3} for name in names} for names in (ladder.RUNGS, ladder.BETWEEN))
    monkeypatch.setattr(ladder, "run", answer("ladder", tuple(rungs)))
    return asked


def test_layers_and_steps_are_the_default(chainrule, measured):
    ended = chainrule("bench")
    assert ended.code == 0, ended.err
    assert [table for table, *_ in measured] == ["layers"] + ["steps"] * len(steps.NETWORKS)
    assert "three-layer convnet, Adam, batch 100" in ended.out
    assert "2.00 - 3.00" in ended.out
    assert " 851 " in ended.out


def test_the_better_memory_format_of_pytorch_is_marked(chainrule, measured):
    ended = chainrule("bench", "--only", "steps", "--networks", "resnet")
    lines = [line for line in ended.out.splitlines() if "PyTorch" in line]
    assert "PyTorch  " in lines[0]
    assert "PyTorch, channels-last *" in lines[1]


@pytest.mark.parametrize(
    ("table", "shown"),
    [("squeezenet", "2.50"), ("scaling", "1.90"), ("account", "1.00 (25%)"), ("first-step", "12.3"), ("steps", "2.50"), ("layers", "2.50")],
)
def test_every_table_shows_its_figures(chainrule, measured, table, shown):
    ended = chainrule("bench", "--only", table, "--networks", "resnet")
    assert ended.code == 0, ended.err
    assert shown in ended.out


def test_squeezenets_cases_are_measured_and_named(chainrule, measured):
    ended = chainrule("bench", "--only", "squeezenet", "--engines", "torch", "--rounds", "5")
    assert [arguments for _, arguments, _ in measured] == [(name, ["torch"]) for name in squeezenet.CASES]
    assert measured[0][2]["rounds"] == 5
    assert "all, batch 25" in ended.out
    assert "image alone, batch 1 " in ended.out


def test_the_ladder_shows_every_rung(chainrule, measured):
    ended = chainrule("bench", "--ladder")
    for rung in [*ladder.RUNGS.values(), *ladder.BETWEEN.values()]:
        assert rung in ended.out
    assert "1,234" in ended.out
    assert "0.0123" in ended.out


def test_what_was_asked_for_is_measured(chainrule, measured):
    chainrule("bench", "--only", "steps", "--networks", "a", "b", "--engines", "numpy", "--rounds", "9", "--threads", "1")
    assert [arguments for _, arguments, _ in measured] == [("a", ["numpy"]), ("b", ["numpy"])]
    assert measured[0][2]["rounds"] == 9
    assert measured[0][2]["threads"] == 1


def test_without_pytorch_it_says_so_and_goes_on(chainrule, measured, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    ended = chainrule("bench", "--only", "steps", "--networks", "a")
    assert ended.code == 0
    assert ended.err == "PyTorch is not installed: pip install chainrule[torch]; compared without it\n"


@pytest.mark.parametrize(("engine", "name"), [("torch", "PyTorch"), ("tensorflow", "TensorFlow")])
def test_a_rival_that_was_asked_for_must_be_installed(chainrule, measured, monkeypatch, engine, name):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    ended = chainrule("bench", "--engines", engine)
    assert ended.code == 1
    assert ended.err.startswith(f"error: --engines {engine}: {name} is not installed: pip install ")
    assert measured == []


@pytest.mark.parametrize(
    ("option", "there_is"), [("--only", "layers, steps"), ("--networks", "a, b, c"), ("--engines", "torch, tensorflow")]
)
def test_an_unknown_name_is_refused_before_anything_is_measured(chainrule, measured, option, there_is):
    ended = chainrule("bench", option, "nothing")
    assert ended.code == 1
    assert ended.err.startswith(f"error: {option} nothing: there is no such thing; there are {there_is}")
    assert measured == []


def test_its_json_says_what_was_measured_and_where(chainrule):
    ended = chainrule(
        "bench", "--only", "steps", "--networks", "b", "--engines", "numpy", "--rounds", "1", "--seconds", "0", "--threads", "1", "--json"
    )
    result = json.loads(ended.out)
    assert result["threads"] == 1
    assert result["machine"]["processor"]
    assert result["versions"]["numpy"]
    rows = result["steps"]["b"]
    assert list(rows) == ["hand", "numpy"]
    for row in rows.values():
        low, high = row["ratio_range"]
        assert low <= row["ratio"] <= high
        assert 0 < row["best_ms"] <= row["median_ms"]
