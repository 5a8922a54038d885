import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chainrule.nn import Conv2d, ConvTranspose2d
from chainrule.verification import check_module

KINDS = pytest.mark.parametrize("kind", ["Conv2d", "ConvTranspose2d"])
EVERY_GEOMETRY = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def geometries(draw):
    """Channels, options and an image, larger than the kernel reaches."""
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    kernel, stride, dilation = (tuple(draw(st.integers(1, high)) for _ in range(2)) for high in (4, 3, 2))
    padding = draw(st.one_of(st.just("valid"), st.tuples(st.integers(0, 3), st.integers(0, 3))))
    if stride == (1, 1):
        padding = draw(st.sampled_from(["same", padding]))
    reach = [step * (side - 1) + 1 for step, side in zip(dilation, kernel, strict=True)]
    return {
        "channels": (groups * draw(st.integers(1, 3)), groups * draw(st.integers(1, 3))),
        "options": {"kernel_size": kernel, "stride": stride, "dilation": dilation, "padding": padding, "groups": groups}
        | {"bias": draw(st.booleans())},
        "shape": (draw(st.integers(1, 3)), *(side + draw(st.integers(0, 5)) for side in reach)),
    }


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")  # PyTorch's, about a copy that it makes
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@EVERY_GEOMETRY
@given(geometry=geometries(), seed=st.integers(0, 99))
def test_convolution_is_torchs_on_every_geometry(nn, assert_like_torch, dtype, geometry, seed):
    rng = np.random.default_rng(seed)
    N, H, W = geometry["shape"]
    module = nn.Conv2d(*geometry["channels"], **geometry["options"], dtype=dtype, rng=rng)
    twin = torch.nn.Conv2d(*geometry["channels"], **geometry["options"], dtype=getattr(torch, np.dtype(dtype).name))
    assert repr(module) == repr(twin)
    assert_like_torch(module, twin, rng.standard_normal((N, geometry["channels"][0], H, W)).astype(dtype))


@st.composite
def transposed_geometries(draw):
    geometry = draw(geometries())
    options = geometry["options"]
    stride, kernel, dilation = options["stride"], options["kernel_size"], options["dilation"]
    if min((size - 1) * s + d * (k - 1) + 1 for size, s, d, k in zip(geometry["shape"][1:], stride, dilation, kernel, strict=True)) < 7:
        options["padding"] = 0  # nothing may be left of the output otherwise
    elif isinstance(options["padding"], str):
        options["padding"] = 1
    return geometry | {"options": options | {"output_padding": tuple(draw(st.integers(0, side - 1)) for side in stride)}}


@EVERY_GEOMETRY
@given(geometry=transposed_geometries(), seed=st.integers(0, 99))
def test_transposed_convolution_is_torchs_on_every_geometry(nn, assert_like_torch, geometry, seed):
    rng = np.random.default_rng(seed)
    N, H, W = geometry["shape"]
    module = nn.ConvTranspose2d(*geometry["channels"], **geometry["options"], dtype=np.float64, rng=rng)
    twin = torch.nn.ConvTranspose2d(*geometry["channels"], **geometry["options"], dtype=torch.float64)
    assert repr(module) == repr(twin)
    assert_like_torch(module, twin, rng.standard_normal((N, geometry["channels"][0], H, W)))


@pytest.mark.parametrize(
    "layout",
    [lambda x: x.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2), np.asfortranarray, lambda x: np.repeat(x, 2, axis=3)[..., ::2]],
    ids=["channels last", "Fortran", "strided"],
)
@KINDS
def test_any_memory_layout_will_do(nn, assert_like_torch, rng, kind, layout):
    module = getattr(nn, kind)(3, 4, 3, padding=1, dtype=np.float64)
    twin = getattr(torch.nn, kind)(3, 4, 3, padding=1, dtype=torch.float64)
    assert_like_torch(module, twin, layout(rng.standard_normal((2, 3, 6, 5))))


@KINDS
@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1}, {"groups": 2, "bias": False}], ids=str)
def test_gradients_are_those_of_differences(nn, rng, kind, options):
    module = getattr(nn, kind)(2, 4, (3, 2), **options, rng=rng)
    check_module(module, rng.standard_normal((2, 2, 5, 4)), max_checks=60)


def test_a_stride_takes_every_second_row_and_column(rng):
    x = rng.standard_normal((2, 3, 7, 8))
    dense, strided = (Conv2d(3, 4, 3, stride=stride, dtype=np.float64, rng=np.random.default_rng(1)) for stride in (1, 2))
    # sums of 27 terms, perhaps in another order
    np.testing.assert_allclose(strided(x), dense(x)[:, :, ::2, ::2], rtol=1e-13, atol=1e-14)


def test_a_transposed_convolution_is_the_convolutions_transpose(rng):
    convolution = Conv2d(3, 4, 3, stride=2, padding=1, bias=False, dtype=np.float64)
    transposed = ConvTranspose2d(4, 3, 3, stride=2, padding=1, output_padding=1, bias=False, dtype=np.float64)
    transposed.weight.data[...] = convolution.weight.data
    x, y = rng.standard_normal((2, 3, 6, 8)), rng.standard_normal((2, 4, 3, 4))
    # <A x, y> = <x, A^T y>: sums of a few hundred terms of size 1
    assert np.vdot(convolution(x), y) == pytest.approx(np.vdot(x, transposed(y)), rel=1e-11, abs=1e-11)


@pytest.mark.parametrize("name", ["weight", "bias"])
@pytest.mark.parametrize(("kind", "sizes"), [(Conv2d, (100, 3000)), (ConvTranspose2d, (3000, 100))], ids=["Conv2d", "ConvTranspose2d"])
def test_parameters_begin_uniform_within_torchs_bound(kind, sizes, name):
    ours = getattr(kind(*sizes, 2, rng=np.random.default_rng(0)), name).data
    torch.manual_seed(0)
    theirs = getattr(getattr(torch.nn, kind.__name__)(*sizes, 2), name).detach().numpy()
    bound = 1 / np.sqrt(100 * 2 * 2)
    for values in (ours, theirs):
        assert np.abs(values).max() <= np.float32(bound)
        # the mean of n squares of a uniform variable has the relative deviation sqrt(0.8 / n), 9 % for the 100 biases
        assert np.mean(values.astype(float) ** 2) == pytest.approx(bound**2 / 3, rel=4 * np.sqrt(0.8 / values.size))


@KINDS
def test_the_weight_lies_in_memory_as_the_kernels_read_it_and_stays_so(kind):
    module = {"Conv2d": Conv2d, "ConvTranspose2d": ConvTranspose2d}[kind](4, 6, (3, 2), groups=2)
    for change in (lambda: None, module.double, lambda: module.load_state_dict(module.state_dict())):
        change()
        assert module.weight.data.transpose(2, 3, 1, 0).flags.c_contiguous
        assert module.weight.grad_memory().transpose(2, 3, 1, 0).flags.c_contiguous


def test_gradients_of_two_passes_add_up(nn, rng):
    module = nn.Conv2d(2, 3, 3, dtype=np.float64, rng=rng)
    x, dout = rng.standard_normal((2, 2, 5, 4)), rng.standard_normal((2, 3, 3, 2))
    module(x)
    module.backward(dout)
    once = module.weight.grad.copy(), module.bias.grad.copy()
    module(x)
    module.backward(dout)
    np.testing.assert_array_equal(module.weight.grad, 2 * once[0])
    np.testing.assert_array_equal(module.bias.grad, 2 * once[1])


# --- bad input --------------------------------------------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 4, 8, 8), r"x has shape \(2, 4, 8, 8\); expected \(N, 3, H, W\)$"),
        ((2, 8, 8, 3), r"expected \(N, 3, H, W\); the channels come second: x.transpose\(0, 3, 1, 2\)$"),
        ((3, 8, 8), r"expected \(N, 3, H, W\); is the batch axis missing\? x\[np.newaxis\] adds it$"),
        ((2, 192), r"x has shape \(2, 192\); expected \(N, 3, H, W\)$"),
    ],
    ids=str,
)
def test_a_wrong_shape_is_refused_with_the_layer_and_both_shapes(nn, kind, shape, message):
    with pytest.raises(ValueError, match=f"^{kind}: .*{message}"):
        getattr(nn, kind)(3, 4, 3)(np.zeros(shape, np.float32))


def test_a_kernel_larger_than_the_padded_image_is_refused(nn):
    with pytest.raises(ValueError, match=r"^Conv2d: the window of 5 x 5 is larger than the image of 2 x 9, 4 x 11 with padding$"):
        nn.Conv2d(3, 4, 5, padding=1)(np.zeros((2, 3, 2, 9), np.float32))


def test_a_transposed_convolution_of_which_nothing_is_left_is_refused(nn):
    with pytest.raises(ValueError, match=r"^ConvTranspose2d: the output would be -1 x 1, from an image of 1 x 3"):
        nn.ConvTranspose2d(3, 4, 1, padding=1)(np.zeros((2, 3, 1, 3), np.float32))


@KINDS
def test_a_wrong_dtype_is_refused_with_what_to_convert(nn, kind):
    with pytest.raises(TypeError, match=rf"^{kind}: x is float64, the parameters are float32; convert one of them: x.astype\(np.float32\)"):
        getattr(nn, kind)(3, 4, 3)(np.zeros((2, 3, 8, 8)))


@KINDS
def test_a_dout_of_another_shape_is_refused(nn, kind):
    module = getattr(nn, kind)(3, 4, 3, padding=1)
    module(np.zeros((2, 3, 8, 7), np.float32))
    with pytest.raises(ValueError, match=rf"^{kind}: dout has shape \(2, 4, 1, 1\); expected \(2, 4, 8, 7\), like the output$"):
        module.backward(np.zeros((2, 4, 1, 1), np.float32))


@KINDS
def test_backward_before_forward_is_refused(nn, kind):
    with pytest.raises(RuntimeError, match=rf"^{kind}: backward was called before forward$"):
        getattr(nn, kind)(3, 4, 3).backward(np.zeros((2, 4, 8, 8), np.float32))


BOTH = [Conv2d, ConvTranspose2d]


@pytest.mark.parametrize(
    ("kinds", "arguments", "message"),
    [
        (BOTH, {"in_channels": 0}, "in_channels is 0; it must be at least 1"),
        (BOTH, {"out_channels": -2}, "out_channels is -2; it must be at least 1"),
        (BOTH, {"groups": 0}, "groups is 0; it must be at least 1"),
        (BOTH, {"groups": 4}, "in_channels is 6, not divisible by groups = 4; use a multiple of 4, or groups=1"),
        (BOTH, {"groups": 3}, "out_channels is 8, not divisible by groups = 3; use a multiple of 3, or groups=1"),
        (BOTH, {"kernel_size": 0}, "kernel_size is 0; it must be at least 1"),
        (BOTH, {"kernel_size": 2.5}, "kernel_size is 2.5; expected a whole number, or a pair of them (rows, columns)"),
        (BOTH, {"stride": (1, 2, 3)}, "stride is (1, 2, 3); expected a whole number, or a pair of them (rows, columns)"),
        (BOTH, {"dilation": (1, 0)}, "dilation is (1, 0); it must be at least 1"),
        (BOTH, {"padding": -1}, "padding is -1; it must be at least 0"),
        (BOTH, {"padding_mode": "reflect"}, "padding_mode is 'reflect'; only \"zeros\" is offered"),
        ([Conv2d], {"padding": "full"}, 'padding is \'full\'; it must be "same", "valid", a whole number or a pair of them'),
        (
            [Conv2d],
            {"padding": "same", "stride": 2},
            'padding="same" needs stride 1, and stride is (2, 2); give the padding as a number',
        ),
        ([ConvTranspose2d], {"output_padding": 2, "stride": 2}, "output_padding is 2; it must be less than the stride, 2"),
    ],
    ids=str,
)
def test_arguments_that_make_no_layer_are_refused(kinds, arguments, message):
    for kind in kinds:
        with pytest.raises(ValueError) as caught:
            kind(**{"in_channels": 6, "out_channels": 8, "kernel_size": 3} | arguments)
        assert str(caught.value) == f"{kind.__name__}: {message}"
