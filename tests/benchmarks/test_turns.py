import os
import time
from types import SimpleNamespace

import pytest

from chainrule.benchmarks.turns import Task, Worker, compare, measure


def contender(times, check=(1.0,)):
    """What `compare` asks of a worker: answers that were made before."""
    warm_up, turns = {"median_ms": 99.0, "best_ms": 0.01, "peak_mib": 1.0}, iter(times)
    answers = iter([warm_up, *({"median_ms": time, "best_ms": time / 2, "peak_mib": time} for time in turns)])
    return SimpleNamespace(prepare=lambda case: {"check": list(check)}, turn=lambda seconds: next(answers))


def test_a_ratio_is_of_two_times_of_the_same_round():
    # the machine is ten times slower in the second round, for both
    rows = compare({"ours": contender([1, 10, 1]), "theirs": contender([2, 30, 4])}, rounds=3, seconds=0.1, case="net")
    assert rows["theirs"]["ratio"] == 3
    assert rows["theirs"]["ratio_range"] == [2, 4]
    assert rows["ours"]["ratio_range"] == [1, 1]


def test_the_first_turn_is_for_warming_up():
    row = compare({"ours": contender([4, 2, 3])}, rounds=3, seconds=0.1, case="net")["ours"]
    assert (row["median_ms"], row["best_ms"], row["peak_mib"]) == (3, 1, 4)


def test_contenders_that_compute_something_else_are_not_compared():
    others = {"ours": contender([1], check=(1.0, 2.0)), "theirs": contender([1], check=(1.0, 2.1))}
    with pytest.raises(ValueError, match=r"net: theirs does not compute what ours does: 1, 2.1, and 1, 2 there"):
        compare(others, rounds=1, seconds=0.1, case="net")


def test_one_without_numbers_to_check_takes_part():
    assert "loops" in compare({"ours": contender([1]), "loops": contender([1], check=())}, rounds=1, seconds=0.1, case="net")


def test_progress_names_who_computes():
    lines = []
    compare({"ours": contender([1]), "theirs": contender([1])}, rounds=1, seconds=0.1, case="net", progress=lines.append)
    assert lines[-1] == "net: round 1 of 1, theirs"


def test_a_turn_has_at_least_three_runs_and_scales_the_time_of_a_part():
    runs = []

    def run(i):
        runs.append(i)
        time.sleep(0.002)

    turn = measure(Task(run, lambda: iter(()), scale=100.0), seconds=0.0)
    assert runs == [0, 1, 2]
    assert turn["best_ms"] >= 200
    assert turn["median_ms"] >= turn["best_ms"]


def test_a_worker_is_a_process_that_answers_until_it_is_closed():
    with Worker("steps", "numpy", 1) as worker:
        answer = worker.prepare("a")
        assert len(answer["check"]) == 3
        assert 0 < answer["first_s"] < 60
        turn = worker.turn(0.0)
        assert 0 < turn["best_ms"] <= turn["median_ms"]
        assert turn["peak_mib"] > 20  # Python and NumPy
        process = worker._process
    assert process.returncode == 0
    assert not os.path.exists(f"/proc/{process.pid}")


def test_a_worker_that_ends_early_is_named(capfd):
    with pytest.raises(ChildProcessError, match="the worker process of nobody ended with status 1"), Worker("steps", "nobody", 1) as worker:
        worker.prepare("a")
    assert "KeyError: 'nobody'" in capfd.readouterr().err
