"""Each usual mistake is recognized from the numbers alone, and nothing is claimed of the unusual."""

import numpy as np
import pytest

from chainrule.verification.diagnosis import likely_mistake, likely_shape_mistake

RIGHT = np.random.default_rng(0).standard_normal((4, 3))
SQUARE = np.random.default_rng(1).standard_normal((4, 4))
CUBE = np.random.default_rng(2).standard_normal((2, 5, 5))


@pytest.mark.parametrize(
    ("actual", "expected", "sentence"),
    [
        (0 * RIGHT, RIGHT, "it is zero everywhere"),
        (RIGHT, 0 * RIGHT, "it should be zero everywhere"),
        (-RIGHT, RIGHT, "it has the wrong sign"),
        (8 * RIGHT, RIGHT, "it is 8 times too large, the size of the batch: a division by N is missing"),
        (RIGHT / 8, RIGHT, "it is 8 times too small, the size of the batch: it is divided by N once too often"),
        (2 * RIGHT, RIGHT, "it is 2 times as large as it should be"),
        (RIGHT / 2, RIGHT, "it is 2 times too small"),
        (-2 * RIGHT, RIGHT, "it is -2 times the right gradient: a wrong sign and a wrong factor"),
        (RIGHT + 0.5, RIGHT, "it is off by the same 0.5 everywhere"),
        (SQUARE.T, SQUARE, "it is the transpose of the right gradient"),
        (CUBE.swapaxes(1, 2), CUBE, "axes 1 and 2 are swapped"),
        (RIGHT * (1 + 1e-6), RIGHT, ""),
        (RIGHT**2, RIGHT, ""),
    ],
)
def test_a_usual_mistake_in_the_values_has_its_sentence(actual, expected, sentence):
    assert likely_mistake(actual, expected, batch_size=8) == sentence


def test_gradients_in_the_wrong_order_are_recognized():
    dgamma, dbeta = np.random.default_rng(3).standard_normal((2, 5))
    found = likely_mistake(dbeta, dgamma, batch_size=8, others={"dbeta": dbeta})
    assert found == "it is the gradient dbeta: are they returned in the wrong order?"


def test_a_sample_of_entries_suffices():
    sample = np.where(np.arange(12).reshape(4, 3) % 3 == 0, RIGHT, np.nan)
    assert likely_mistake(-RIGHT, sample, batch_size=8) == "it has the wrong sign"
    assert likely_mistake(RIGHT[::-1], sample, batch_size=8) == ""


@pytest.mark.parametrize(
    ("shape", "expected", "sentence"),
    [
        ((1, 5), (5,), "an axis of length 1 is too many or too few"),
        ((4, 1), (4,), "an axis of length 1 is too many or too few"),
        ((3, 5), (5, 3), "it is transposed"),
        ((4, 5), (5,), "the sum over axis 0 is missing"),
        ((2, 5, 3), (5,), "the sum over axis 0, 2 is missing"),
        ((2, 15), (2, 5, 3), r"it has the right number of entries: give it the shape of its array, .reshape(2, 5, 3)"),
        ((4, 5), (7,), ""),
        ((), (3,), ""),
    ],
)
def test_a_usual_mistake_in_the_shape_has_its_sentence(shape, expected, sentence):
    found = likely_shape_mistake(np.zeros(shape), expected)
    assert found.startswith(sentence) and bool(found) == bool(sentence)
