import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chainrule.nn import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d
from chainrule.verification import check_module

EVERY_GEOMETRY = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
KINDS = pytest.mark.parametrize("kind", ["MaxPool2d", "AvgPool2d", "AdaptiveAvgPool2d"])
pairs = st.tuples


@st.composite
def windows(draw):
    """Options of both kinds of windows, and the shape of an image that is large enough."""
    kernel = draw(pairs(st.integers(1, 4), st.integers(1, 4)))
    options = {
        "kernel_size": kernel,
        "stride": draw(st.one_of(st.none(), pairs(st.integers(1, 4), st.integers(1, 4)))),
        "padding": tuple(draw(st.integers(0, side // 2)) for side in kernel),
        "ceil_mode": draw(st.booleans()),
    }
    return options, (draw(st.integers(1, 3)), draw(st.integers(1, 5)), *(2 * side + draw(st.integers(0, 6)) for side in kernel))


def floats(name):
    return np.dtype(name), getattr(torch, name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@EVERY_GEOMETRY
@given(window=windows(), dilation=pairs(st.integers(1, 2), st.integers(1, 2)), seed=st.integers(0, 99), ties=st.booleans())
def test_max_pooling_is_torchs_on_every_geometry(nn, assert_like_torch, dtype, window, dilation, seed, ties):
    options, shape = window
    x = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
    if ties:
        x = np.sign(x)  # of equal values the same one gets the gradient
    assert_like_torch(nn.MaxPool2d(**options, dilation=dilation), torch.nn.MaxPool2d(**options, dilation=dilation), x)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@EVERY_GEOMETRY
@given(window=windows(), count_include_pad=st.booleans(), seed=st.integers(0, 99))
def test_average_pooling_is_torchs_on_every_geometry(nn, assert_like_torch, dtype, window, count_include_pad, seed):
    options, shape = window
    options = {**options, "count_include_pad": count_include_pad}
    x = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
    assert_like_torch(nn.AvgPool2d(**options), torch.nn.AvgPool2d(**options), x)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@EVERY_GEOMETRY
@given(
    output_size=st.one_of(st.integers(1, 6), pairs(st.one_of(st.none(), st.integers(1, 6)), st.integers(1, 6))),
    shape=pairs(st.integers(1, 3), st.integers(1, 5), st.integers(1, 9), st.integers(1, 9)),
    seed=st.integers(0, 99),
)
def test_adaptive_pooling_is_torchs_on_every_geometry(nn, assert_like_torch, dtype, output_size, shape, seed):
    x = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
    assert_like_torch(nn.AdaptiveAvgPool2d(output_size), torch.nn.AdaptiveAvgPool2d(output_size), x)


@pytest.mark.parametrize(
    "layout",
    [lambda x: x.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2), np.asfortranarray, lambda x: np.repeat(x, 2, axis=3)[..., ::2]],
    ids=["channels last", "Fortran", "strided"],
)
@KINDS
def test_any_memory_layout_will_do(nn, assert_like_torch, rng, kind, layout):
    assert_like_torch(getattr(nn, kind)(2), getattr(torch.nn, kind)(2), layout(rng.standard_normal((2, 3, 6, 5))))


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(lambda nn: nn.MaxPool2d(2), id="max"),
        pytest.param(lambda nn: nn.MaxPool2d(3, 2, 1), id="max, overlapping"),
        pytest.param(lambda nn: nn.AvgPool2d((2, 3), 1), id="average"),
        pytest.param(lambda nn: nn.AdaptiveAvgPool2d(2), id="adaptive"),
        pytest.param(lambda nn: nn.AdaptiveAvgPool2d(1), id="global"),
    ],
)
def test_gradients_are_those_of_differences(nn, rng, build):
    check_module(build(nn), rng.standard_normal((2, 3, 5, 4)), max_checks=60)


def test_of_ties_behind_a_relu_one_gets_the_gradient_and_differences_agree(nn, rng):
    check_module(nn.MaxPool2d(2), np.maximum(rng.standard_normal((2, 3, 6, 4)), 0), max_checks=20)


@pytest.mark.parametrize("kind", ["MaxPool2d", "AvgPool2d"])
@pytest.mark.parametrize("side", [2, 3, 4])
def test_in_ceil_mode_a_window_may_be_larger_than_the_image(nn, assert_like_torch, rng, kind, side):
    options = {"kernel_size": 3, "stride": 2, "ceil_mode": True}
    assert_like_torch(getattr(nn, kind)(**options), getattr(torch.nn, kind)(**options), rng.standard_normal((2, 3, side, 5)))


def test_text_is_torchs():
    cases = [
        ("MaxPool2d", {"kernel_size": 2}),
        ("MaxPool2d", {"kernel_size": (2, 3), "stride": 1, "padding": 1, "dilation": 2, "ceil_mode": True}),
        ("AvgPool2d", {"kernel_size": (2, 3), "padding": 1}),
        ("AdaptiveAvgPool2d", {"output_size": (None, 2)}),
    ]
    ours = {"MaxPool2d": MaxPool2d, "AvgPool2d": AvgPool2d, "AdaptiveAvgPool2d": AdaptiveAvgPool2d}
    for kind, options in cases:
        assert repr(ours[kind](**options)) == repr(getattr(torch.nn, kind)(**options))


# --- bad input --------------------------------------------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("shape", [(2, 48), (3, 4, 4), (2, 3, 4, 4, 1)], ids=str)
def test_a_wrong_rank_is_refused_with_the_layer(nn, kind, shape):
    with pytest.raises(ValueError) as caught:
        getattr(nn, kind)(2)(np.zeros(shape, np.float32))
    assert str(caught.value).startswith(f"{kind}: x has shape {shape}; expected (N, C, H, W)")


@KINDS
def test_whole_numbers_are_refused(nn, kind):
    with pytest.raises(TypeError, match=rf"^{kind}: x is int64; expected floating point numbers: x.astype\(np.float32\)$"):
        getattr(nn, kind)(2)(np.zeros((2, 3, 4, 4), np.int64))


@pytest.mark.parametrize("kind", ["MaxPool2d", "AvgPool2d"])
def test_a_window_larger_than_the_image_is_refused(nn, kind):
    with pytest.raises(ValueError, match=rf"^{kind}: the window of 3 x 3 is larger than the image of 2 x 5"):
        getattr(nn, kind)(3)(np.zeros((2, 3, 2, 5), np.float32))


def test_the_mean_of_no_pixels_is_refused(nn):
    with pytest.raises(ValueError, match=r"^AdaptiveAvgPool2d: x has shape \(2, 3, 0, 5\); an image without pixels has no mean$"):
        nn.AdaptiveAvgPool2d(1)(np.zeros((2, 3, 0, 5), np.float32))


@KINDS
def test_a_dout_of_another_shape_is_refused(nn, kind):
    module = getattr(nn, kind)(2)
    module(np.zeros((2, 3, 4, 4), np.float32))
    with pytest.raises(ValueError, match=rf"^{kind}: dout has shape \(2, 3, 1, 1\); expected \(2, 3, 2, 2\), like the output$"):
        module.backward(np.zeros((2, 3, 1, 1), np.float32))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: MaxPool2d(0), "MaxPool2d: kernel_size is 0; it must be at least 1"),
        (lambda: MaxPool2d(2, 0), "MaxPool2d: stride is 0; it must be at least 1"),
        (lambda: AvgPool2d(2, padding=-1), "AvgPool2d: padding is -1; it must be at least 0"),
        (lambda: MaxPool2d(2, dilation=0), "MaxPool2d: dilation is 0; it must be at least 1"),
        (
            lambda: MaxPool2d(2, return_indices=True),
            "MaxPool2d: return_indices is True; a module here returns one array, the maxima: leave it False",
        ),
        (
            lambda: AvgPool2d(2, divisor_override=3),
            "AvgPool2d: divisor_override is 3; only None is offered: a mean divides by its count",
        ),
        (lambda: AdaptiveAvgPool2d(0), "AdaptiveAvgPool2d: output_size is (0, 0); it must be at least 1"),
    ],
)
def test_arguments_that_make_no_layer_are_refused(build, message):
    with pytest.raises(ValueError) as caught:
        build()
    assert str(caught.value) == message


def test_padding_of_more_than_half_a_window_is_refused(nn):
    with pytest.raises(ValueError, match=r"^MaxPool2d: pad .* is more than half of the window 2 x 2"):
        nn.MaxPool2d(2, padding=2)(np.zeros((2, 3, 4, 4), np.float32))
