import csv
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from chainrule.experiments import Outcome, conditions, difference, finding, read_study, write_csv
from chainrule.experiments.results import Condition, mean_text


def condition(*values, name="a", errors=()):
    return Condition({"axis": name}, (), tuple(values), tuple(errors), 0, 10, 1.0)


def outcomes(study, accuracy):
    """Outcomes with the accuracies that accuracy(cell) gives; None for a failure."""
    found = []
    for cell in study.cells:
        value = accuracy(cell)
        names = ("val_accuracy", "test_accuracy", "train_accuracy", "train_loss", "best_epoch", "epochs", "parameters", "seconds")
        values = {} if value is None else dict.fromkeys(names, value)
        found.append(Outcome(cell, values, "the loss became nan" if value is None else None))
    return found


@given(st.lists(st.floats(0.1, 0.9), min_size=2, max_size=8))
def test_the_interval_is_that_of_scipy(values):
    own = condition(*values)
    if np.std(values) < 1e-9:
        assert own.interval < 1e-6
        return
    low, high = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))
    assert own.mean - own.interval == pytest.approx(low)
    assert own.mean + own.interval == pytest.approx(high)


@given(
    st.lists(st.floats(0.1, 0.9), min_size=2, max_size=6, unique=True), st.lists(st.floats(0.1, 0.9), min_size=2, max_size=6, unique=True)
)
def test_the_interval_of_a_difference_is_that_of_welch_in_scipy(first, second):
    if min(np.std(first), np.std(second)) < 1e-6:
        return
    gain, noise = difference(condition(*first), condition(*second))
    interval = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    assert gain - noise == pytest.approx(interval.low, abs=1e-9)
    assert gain + noise == pytest.approx(interval.high, abs=1e-9)


def test_a_gain_within_the_noise_is_called_that(small):
    study = read_study(small, seeds=3)
    noisy = {"0.001": (0.50, 0.60, 0.55), "0.02": (0.53, 0.63, 0.52)}
    said = finding(study, conditions(study, outcomes(study, lambda cell: noisy[cell.labels["lr"]][cell.seed])))
    assert said[0].startswith("The highest validation accuracy of the best epoch has lr 0.02, normalization none: 56.0 ±")
    assert "Within the noise of 3 seeds of it: lr 0.001, normalization none" in said[1]
    assert not any("more than chance" in sentence for sentence in said)


def test_a_gain_beyond_the_noise_is_stated(small):
    study = read_study(small, seeds=3)
    clear = {"0.001": (0.30, 0.31, 0.32), "0.02": (0.60, 0.61, 0.62)}
    said = finding(study, conditions(study, outcomes(study, lambda cell: clear[cell.labels["lr"]][cell.seed])))
    assert "The other 2 fall behind by 30.0\N{NO-BREAK SPACE}points, more than chance." in said


def test_one_seed_says_nothing_about_chance(small):
    study = read_study(small, seeds=1)
    found = conditions(study, outcomes(study, lambda cell: float(cell.labels["lr"])))
    assert "With one seed of a condition nothing can be said about chance." in finding(study, found)
    assert math.isnan(found[0].interval)
    assert "±" not in mean_text(study, found[0])


def test_of_a_study_that_has_only_begun_nothing_is_said_about_chance(small):
    study = read_study(small, seeds=3)
    said = finding(study, conditions(study, outcomes(study, lambda cell: float(cell.labels["lr"]))[:4]))
    assert not any("noise" in sentence or "more than chance" in sentence for sentence in said)


def test_failed_and_unfinished_cells_are_counted(small):
    study = read_study(small)
    done = outcomes(study, lambda cell: None if cell.labels["lr"] == "0.02" else 0.5)[:-1]
    found = conditions(study, done)
    assert [len(condition.errors) for condition in found] == [0, 0, 2, 1]
    assert found[3].unfinished == 1
    said = finding(study, found)
    assert "Failed: lr 0.02, normalization none, 2 of 2 (the loss became nan)." in said
    assert "1 of 8 cells are not trained yet." in said


def test_of_losses_the_least_is_best(small):
    small.write_text(small.read_text().replace("seeds = 2", 'seeds = 2\nmeasure = "train_loss"'))
    study = read_study(small)
    said = finding(study, conditions(study, outcomes(study, lambda cell: float(cell.labels["lr"]) + cell.seed / 1e5)))
    assert said[0].startswith("The least training loss in the last epoch has lr 0.001")


def test_the_csv_has_a_line_for_each_cell(small, tmp_path):
    study = read_study(small)
    path = write_csv(study, tmp_path, outcomes(study, lambda cell: None if cell.seed else 0.25))
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert rows[0]["lr"] == "0.001"
    assert rows[0]["status"] == "finished"
    assert float(rows[0]["val_accuracy"]) == 0.25
    assert (rows[-1]["status"], rows[-1]["error"], rows[-1]["seed"]) == ("failed", "the loss became nan", "1")
