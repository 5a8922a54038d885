import numpy as np
import pytest
import torch

from chainrule.nn import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm
from chainrule.verification import check_module

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
BATCHNORM_OPTIONS = [
    {},
    {"eps": 0.1},
    {"momentum": 0.7},
    {"momentum": None},
    {"affine": False},
    {"bias": False},
    {"track_running_stats": False},
]


def torchs(dtype):
    return getattr(torch, np.dtype(dtype).name)


def away_from_one(module, rng):
    """Scales and shifts that are neither 0 nor 1, where an error could hide."""
    for parameter in module.parameters():
        parameter.data[...] = rng.uniform(0.5, 2, parameter.shape)
    return module


@DTYPES
@pytest.mark.parametrize("options", BATCHNORM_OPTIONS, ids=str)
@pytest.mark.parametrize("shape", [(7, 5), (4, 5), (4, 5, 3), (1, 5, 6)], ids=str)
def test_batchnorm_is_torchs_in_training_and_then_in_eval_mode(nn, assert_like_torch, rng, shape, options, dtype):
    module = away_from_one(nn.BatchNorm1d(5, dtype=dtype, **options), rng)
    twin = torch.nn.BatchNorm1d(5, dtype=torchs(dtype), **options)
    for step in range(3):
        assert_like_torch(module, twin, (3 * rng.standard_normal(shape) + 2).astype(dtype), seed=step)
        module.zero_grad(), twin.zero_grad()
    module.eval(), twin.eval()
    assert_like_torch(module, twin, (3 * rng.standard_normal(shape) + 2).astype(dtype))


def test_batchnorm_of_two_samples_is_torchs(nn, assert_like_torch, rng):
    # with a small eps both samples become +1 and -1, dx is all rounding, and there is nothing to compare
    module = away_from_one(nn.BatchNorm1d(5, eps=1.0, dtype=np.float64), rng)
    assert_like_torch(module, torch.nn.BatchNorm1d(5, eps=1.0, dtype=torch.float64), rng.standard_normal((2, 5)))


def test_batchnorm_counts_batches_in_training_alone(rng):
    module = BatchNorm1d(4, dtype=np.float64)
    for _ in range(3):
        module(rng.standard_normal((5, 4)))
    module.eval()(rng.standard_normal((5, 4)))
    assert module.num_batches_tracked == 3 and module.num_batches_tracked.dtype == np.int64


def test_batchnorm_without_momentum_averages_over_all_batches(nn, rng):
    module, batches = nn.BatchNorm1d(4, momentum=None, dtype=np.float64), rng.standard_normal((6, 5, 4))
    for batch in batches:
        module(batch)
    # six updates, each rounding at 1.1e-16 of numbers around 1
    np.testing.assert_allclose(module.running_mean, batches.mean(axis=1).mean(axis=0), rtol=0, atol=1e-14)
    np.testing.assert_allclose(module.running_var, batches.var(axis=1, ddof=1).mean(axis=0), rtol=0, atol=1e-14)


def test_batchnorm_in_eval_mode_takes_a_single_sample(nn, assert_like_torch, rng):
    module, twin = nn.BatchNorm1d(5, dtype=np.float64).eval(), torch.nn.BatchNorm1d(5, dtype=torch.float64).eval()
    assert_like_torch(module, twin, rng.standard_normal((1, 5)))


@pytest.mark.parametrize("view", [lambda x: x.T, lambda x: x[::-1, ::2], np.asfortranarray], ids=["transposed", "strided", "Fortran"])
def test_batchnorm_takes_any_memory_layout(nn, assert_like_torch, rng, view):
    x = view(rng.standard_normal((8, 10)))
    C = x.shape[1]
    assert_like_torch(away_from_one(nn.BatchNorm1d(C, dtype=np.float64), rng), torch.nn.BatchNorm1d(C, dtype=torch.float64), x)


@pytest.mark.parametrize("shape", [(7, 4), (5,), (2, 3, 5), (2, 5, 3, 3)], ids=str)
def test_batchnorm_refuses_a_wrong_shape(nn, shape):
    with pytest.raises(ValueError, match=r"^BatchNorm1d: x has shape .*; expected \(N, 5\) or \(N, 5, L\)$"):
        nn.BatchNorm1d(5)(np.zeros(shape, np.float32))


@pytest.mark.parametrize("prepare", [lambda module: module, lambda module: module.eval()], ids=["training", "eval without statistics"])
def test_batchnorm_refuses_the_variance_of_one_value(nn, prepare):
    module = prepare(nn.BatchNorm1d(5, track_running_stats=False))
    with pytest.raises(
        ValueError, match=r"^BatchNorm1d: x has shape \(1, 5\), one value a feature; a variance needs two: use a larger batch"
    ):
        module(np.zeros((1, 5), np.float32))


def test_batchnorm_keeps_its_statistics_when_it_refuses_a_batch(nn):
    module = nn.BatchNorm1d(5)
    with pytest.raises(ValueError, match="one value a feature"):
        module(np.ones((1, 5), np.float32))
    assert module.num_batches_tracked == 0 and not module.running_mean.any()


@pytest.mark.parametrize("eps", [-1, float("nan"), None, "1"])
@pytest.mark.parametrize("kind", ["BatchNorm1d", "BatchNorm2d", "LayerNorm"])
def test_an_eps_that_is_no_number_from_0_on_is_refused(nn, kind, eps):
    with pytest.raises(ValueError, match=f"^{kind}: eps is {eps!r}; it is added to a variance under a root: expected a number, at least 0"):
        getattr(nn, kind)(5, eps=eps)


@pytest.mark.parametrize("momentum", [-0.1, 7, float("nan"), "0.1"])
def test_a_momentum_outside_of_0_to_1_is_refused(nn, momentum):
    with pytest.raises(ValueError, match=rf"^BatchNorm2d: momentum is {momentum!r}; expected a number in \[0, 1\], or None"):
        nn.BatchNorm2d(5, momentum=momentum)


@DTYPES
@pytest.mark.parametrize("options", [{}, {"eps": 0.1}, {"elementwise_affine": False}, {"bias": False}], ids=str)
@pytest.mark.parametrize(
    ("normalized_shape", "shape"),
    [(5, (7, 5)), (5, (1, 5)), (5, (5,)), (5, (2, 3, 5)), ((3, 5), (2, 3, 5)), ([3, 5], (4, 2, 3, 5)), (5, (0, 5))],
    ids=str,
)
def test_layernorm_is_torchs(nn, assert_like_torch, rng, normalized_shape, shape, options, dtype):
    module = away_from_one(nn.LayerNorm(normalized_shape, dtype=dtype, **options), rng)
    twin = torch.nn.LayerNorm(normalized_shape, dtype=torchs(dtype), **options)
    assert_like_torch(module, twin, (3 * rng.standard_normal(shape) + 2).astype(dtype))


@pytest.mark.parametrize("view", [lambda x: x.T, lambda x: x[::-1, ::2], np.asfortranarray], ids=["transposed", "strided", "Fortran"])
def test_layernorm_takes_any_memory_layout(nn, assert_like_torch, rng, view):
    x = view(rng.standard_normal((8, 10)))
    D = x.shape[1]
    assert_like_torch(away_from_one(nn.LayerNorm(D, dtype=np.float64), rng), torch.nn.LayerNorm(D, dtype=torch.float64), x)


def test_layernorm_does_the_same_in_eval_mode(nn, rng):
    module, x = nn.LayerNorm(5, dtype=np.float64), rng.standard_normal((3, 5))
    np.testing.assert_array_equal(module.eval()(x), module.train()(x))


@pytest.mark.parametrize(("shape", "expected"), [((7, 4), "(5)"), ((), "(5)")], ids=str)
def test_layernorm_refuses_a_wrong_shape(nn, shape, expected):
    with pytest.raises(ValueError) as caught:
        nn.LayerNorm(5)(np.zeros(shape, np.float32))
    assert str(caught.value) == f"LayerNorm: x has shape {shape}; its last axes must be {expected}"


@pytest.mark.parametrize("kind", ["BatchNorm1d", "LayerNorm"])
def test_a_wrong_dtype_is_refused(nn, kind):
    with pytest.raises(TypeError, match=rf"^{kind}: x is float64, the parameters are float32; convert one of them$"):
        getattr(nn, kind)(5)(np.zeros((2, 5)))


@pytest.mark.parametrize("size", [0, -2])
def test_sizes_below_one_are_refused(size):
    with pytest.raises(ValueError, match=rf"^BatchNorm1d: num_features is {size}; it must be at least 1$"):
        BatchNorm1d(size)
    with pytest.raises(ValueError, match=rf"^LayerNorm: normalized_shape is {size}; every axis must be at least 1$"):
        LayerNorm(size)


@pytest.mark.parametrize("options", BATCHNORM_OPTIONS, ids=str)
def test_text_of_batchnorm_is_torchs(options):
    assert repr(BatchNorm1d(5, **options)) == repr(torch.nn.BatchNorm1d(5, **options))


@pytest.mark.parametrize("options", [{}, {"eps": 0.1}, {"elementwise_affine": False}, {"bias": False}], ids=str)
@pytest.mark.parametrize("normalized_shape", [5, (3, 5), np.int64(5)], ids=str)
def test_text_of_layernorm_is_torchs(normalized_shape, options):
    assert repr(LayerNorm(normalized_shape, **options)) == repr(torch.nn.LayerNorm(normalized_shape, **options))


RESET = [BatchNorm1d(4), BatchNorm1d(4, affine=False), BatchNorm1d(4, bias=False), BatchNorm2d(4), LayerNorm((2, 4)), GroupNorm(2, 4)]


@pytest.mark.parametrize("module", RESET, ids=repr)
def test_reset_parameters_starts_anew(module, rng):
    fresh = {name: array.copy() for name, array in module.state_dict().items()}
    for array in module.state_dict().values():
        array[...] = 3
    module.reset_parameters(rng)
    for name, array in module.state_dict().items():
        np.testing.assert_array_equal(array, fresh[name])


# --- images -----------------------------------------------------------------------------------------------------------------------

SHAPES = pytest.mark.parametrize("shape", [(4, 6, 3, 5), (1, 6, 7, 2), (5, 6, 1, 1)], ids=str)
LAYOUTS = {
    "channels last": lambda x: x.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2),
    "Fortran": np.asfortranarray,
    "strided": lambda x: np.repeat(x, 2, axis=3)[..., ::2],
}


@DTYPES
@pytest.mark.parametrize("options", BATCHNORM_OPTIONS, ids=str)
@SHAPES
def test_batchnorm_of_images_is_torchs_in_training_and_then_in_eval_mode(nn, assert_like_torch, rng, shape, options, dtype):
    module = away_from_one(nn.BatchNorm2d(6, dtype=dtype, **options), rng)
    twin = torch.nn.BatchNorm2d(6, dtype=torchs(dtype), **options)
    assert repr(module) == repr(twin)
    for step in range(3):
        assert_like_torch(module, twin, (3 * rng.standard_normal(shape) + 2).astype(dtype), seed=step)
        module.zero_grad(), twin.zero_grad()
    module.eval(), twin.eval()
    assert_like_torch(module, twin, (3 * rng.standard_normal(shape) + 2).astype(dtype))


@DTYPES
@pytest.mark.parametrize("options", [{}, {"eps": 0.1}, {"affine": False}, {"bias": False}], ids=str)
@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("shape", [(4, 6, 3, 5), (1, 6, 7, 2)], ids=str)
def test_groupnorm_is_torchs(nn, assert_like_torch, rng, shape, groups, options, dtype):
    module = away_from_one(nn.GroupNorm(groups, 6, dtype=dtype, **options), rng)
    twin = torch.nn.GroupNorm(groups, 6, dtype=torchs(dtype), **options)
    assert repr(module) == repr(twin)
    assert_like_torch(module, twin, (3 * rng.standard_normal(shape) + 2).astype(dtype))


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("build", [lambda nn: nn.BatchNorm2d(6), lambda nn: nn.GroupNorm(2, 6)], ids=["BatchNorm2d", "GroupNorm"])
def test_norms_of_images_take_any_memory_layout(nn, assert_like_torch, rng, build, layout):
    module, twin = away_from_one(build(nn).double(), rng), build(torch.nn).double()
    assert_like_torch(module, twin, layout(rng.standard_normal((3, 6, 4, 5))))


@pytest.mark.parametrize("build", [lambda nn: nn.BatchNorm2d(4), lambda nn: nn.GroupNorm(2, 4)], ids=["BatchNorm2d", "GroupNorm"])
def test_gradients_of_norms_of_images_are_those_of_differences(nn, rng, build):
    check_module(away_from_one(build(nn), rng), rng.standard_normal((3, 4, 2, 3)), max_checks=60)


def test_batchnorm_of_images_is_batchnorm_of_sequences_of_pixels(nn, rng):
    x = rng.standard_normal((4, 5, 3, 2))
    spatial, flat = nn.BatchNorm2d(5, dtype=np.float64), nn.BatchNorm1d(5, dtype=np.float64)
    # means of 24 values, summed in another order
    np.testing.assert_allclose(spatial(x).reshape(4, 5, 6), flat(x.reshape(4, 5, 6)), rtol=0, atol=1e-13)
    np.testing.assert_allclose(spatial.running_var, flat.running_var, rtol=1e-13)


def test_groupnorm_does_the_same_in_eval_mode(nn, rng):
    module, x = nn.GroupNorm(2, 4, dtype=np.float64), rng.standard_normal((3, 4, 2, 2))
    np.testing.assert_array_equal(module.eval()(x), module.train()(x))


def test_a_scale_that_is_frozen_gets_no_gradient(nn, rng):
    module = nn.BatchNorm2d(5, dtype=np.float64)
    module.weight.requires_grad = False
    module.backward(module(rng.standard_normal((2, 5, 3, 3))))
    assert module.weight.grad is None and module.bias.grad is not None


@pytest.mark.parametrize(
    ("build", "name"),
    [(lambda nn: nn.BatchNorm2d(5), "BatchNorm2d"), (lambda nn: nn.GroupNorm(1, 5), "GroupNorm")],
    ids=["BatchNorm2d", "GroupNorm"],
)
@pytest.mark.parametrize("shape", [(7, 5), (2, 5, 3), (2, 4, 3, 3)], ids=str)
def test_norms_of_images_refuse_a_wrong_shape_and_dtype(nn, build, name, shape):
    with pytest.raises(ValueError) as caught:
        build(nn)(np.zeros(shape, np.float32))
    assert str(caught.value).startswith(f"{name}: x has shape {shape}; expected (N, 5, H, W)")
    with pytest.raises(TypeError, match=rf"^{name}: x is float64, the parameters are float32; convert one of them: x.astype"):
        build(nn)(np.zeros((2, 5, 3, 3)))


def test_batchnorm_of_images_refuses_the_variance_of_one_pixel(nn):
    with pytest.raises(ValueError, match=r"^BatchNorm2d: x has shape \(1, 5, 1, 1\), one value a feature; a variance needs two"):
        nn.BatchNorm2d(5)(np.zeros((1, 5, 1, 1), np.float32))


@pytest.mark.parametrize("sizes", [(0, 4), (3, 4), (2, 0)], ids=str)
def test_groups_that_do_not_divide_the_channels_are_refused(sizes):
    with pytest.raises(
        ValueError, match=r"^GroupNorm: num_(channels|groups) is .*(it must be at least 1|the groups must divide the channels)"
    ):
        GroupNorm(*sizes)


NORMS = {
    "BatchNorm1d": (lambda nn: nn.BatchNorm1d(5), (4, 5)),
    "BatchNorm2d": (lambda nn: nn.BatchNorm2d(5), (4, 5, 2, 3)),
    "GroupNorm": (lambda nn: nn.GroupNorm(1, 5), (4, 5, 2, 3)),
    "LayerNorm": (lambda nn: nn.LayerNorm(5), (4, 5)),
}


@pytest.mark.parametrize(("build", "shape"), NORMS.values(), ids=NORMS)
def test_a_dout_of_another_shape_is_refused(nn, rng, build, shape):
    module = build(nn)
    module(rng.standard_normal(shape, np.float32))
    with pytest.raises(ValueError, match=r"dout has shape \(1, 5\); expected .*, like the output$"):
        module.backward(np.zeros((1, 5), np.float32))
