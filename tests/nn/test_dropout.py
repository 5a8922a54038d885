import numpy as np
import pytest
import torch

from chainrule.nn import Dropout, Dropout2d
from chainrule.verification import check_module


def test_training_drops_with_probability_p_and_keeps_the_expectation(nn):
    out = nn.Dropout(0.3, rng=np.random.default_rng(0))(np.ones((500, 400), np.float32))
    assert out.dtype == np.float32
    assert set(np.unique(out)) == {np.float32(0), np.float32(1) / np.float32(0.7)}
    # 200,000 draws: the share of zeros deviates by sqrt(0.21 / 200,000) = 0.001
    assert np.mean(out == 0) == pytest.approx(0.3, abs=0.005)


def test_backward_uses_the_mask_of_forward(nn, rng):
    dropout = nn.Dropout(0.4, rng=np.random.default_rng(1))
    x, dout = rng.standard_normal((6, 7)), rng.standard_normal((6, 7))
    mask = dropout(x) / x
    # mask is a rounded quotient of a rounded product: two roundings
    np.testing.assert_allclose(dropout.backward(dout), dout * mask, rtol=4e-16)


def test_eval_mode_passes_values_and_gradients_on(nn, rng):
    dropout = nn.Dropout(0.4).eval()
    x = rng.standard_normal((6, 7))
    np.testing.assert_array_equal(dropout(x), x)
    np.testing.assert_array_equal(dropout.backward(x), x)


def test_equal_generators_give_equal_masks_and_successive_calls_differ(nn):
    x = np.ones((20, 20))
    first, second = (nn.Dropout(0.5, rng=np.random.default_rng(3)) for _ in range(2))
    out = first(x)
    np.testing.assert_array_equal(second(x), out)
    assert not np.array_equal(first(x), out)


def test_without_a_generator_two_layers_differ_and_the_global_state_is_untouched(nn):
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the state that must not change
    assert not np.array_equal(nn.Dropout()(np.ones((20, 20))), nn.Dropout()(np.ones((20, 20))))
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_p_zero_keeps_everything(nn, rng):
    x = rng.standard_normal((6, 7))
    np.testing.assert_array_equal(nn.Dropout(0.0)(x), x)


def test_whole_channels_are_dropped_with_probability_p(nn):
    out = nn.Dropout2d(0.3, rng=np.random.default_rng(0))(np.ones((200, 100, 2, 3), np.float32))
    assert out.dtype == np.float32
    assert set(np.unique(out)) == {np.float32(0), np.float32(1) / np.float32(0.7)}
    np.testing.assert_array_equal(out, np.broadcast_to(out[:, :, :1, :1], out.shape))
    # 20,000 draws: the share of zeros deviates by sqrt(0.21 / 20,000) = 0.003
    assert np.mean(out == 0) == pytest.approx(0.3, abs=0.015)


def test_gradients_of_dropped_channels_are_those_of_differences(nn, rng):
    check_module(nn.Dropout2d(0.4), rng.standard_normal((3, 4, 2, 3)))


def test_channels_pass_in_eval_mode(nn, rng):
    dropout, x = nn.Dropout2d(0.4).eval(), rng.standard_normal((3, 4, 2, 3))
    np.testing.assert_array_equal(dropout(x), x)
    np.testing.assert_array_equal(dropout.backward(x), x)


def test_channels_of_what_is_no_image_are_refused(nn):
    with pytest.raises(ValueError, match=r"^Dropout2d: x has shape \(4, 5\); expected \(N, C, H, W\)$"):
        nn.Dropout2d()(np.zeros((4, 5)))
    dropout = nn.Dropout2d()
    dropout(np.zeros((2, 3, 4, 5)))
    with pytest.raises(ValueError, match=r"^Dropout2d: dout has shape \(2, 3, 1, 1\); expected \(2, 3, 4, 5\), like the output$"):
        dropout.backward(np.zeros((2, 3, 1, 1)))


def test_a_dout_of_another_shape_is_refused(nn):
    dropout = nn.Dropout()
    dropout(np.zeros((4, 5)))
    with pytest.raises(ValueError, match=r"^Dropout: dout has shape \(4, 1\); expected \(4, 5\), like the output$"):
        dropout.backward(np.zeros((4, 1)))


@pytest.mark.parametrize("kind", [Dropout, Dropout2d])
def test_text_is_torchs(kind):
    assert repr(kind(0.25)) == repr(getattr(torch.nn, kind.__name__)(0.25))


@pytest.mark.parametrize("kind", [Dropout, Dropout2d])
@pytest.mark.parametrize("p", [-0.1, 1, 1.5, float("nan")])
def test_a_probability_out_of_range_is_refused(kind, p):
    with pytest.raises(ValueError, match=rf"^{kind.__name__}: p is {p}; the probability to drop must be at least 0 and below 1$"):
        kind(p)
