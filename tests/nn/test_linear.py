import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chainrule.nn import Linear

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def twin_of(layer):
    return torch.nn.Linear(layer.in_features, layer.out_features, layer.bias is not None, dtype=getattr(torch, str(layer.weight.dtype)))


@DTYPES
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(7, 5), (1, 5), (5,), (2, 3, 5), (2, 1, 4, 5)], ids=str)
def test_output_and_gradients_are_torchs(nn, assert_like_torch, rng, shape, bias, dtype):
    layer = nn.Linear(5, 3, bias, dtype=dtype, rng=rng)
    assert_like_torch(layer, twin_of(layer), rng.standard_normal(shape).astype(dtype))


@pytest.mark.parametrize("shape", [(0, 5), (2, 0, 5)], ids=str)
def test_an_empty_batch_gives_an_empty_output_and_zero_gradients(nn, shape):
    layer = nn.Linear(5, 3)
    out = layer(np.zeros(shape, np.float32))
    assert out.shape == (*shape[:-1], 3)
    assert layer.backward(out).shape == shape
    assert not layer.weight.grad.any() and not layer.bias.grad.any()


LAYOUTS = {
    "transposed": lambda x: np.asfortranarray(x),
    "every second row and column": lambda x: np.repeat(np.repeat(x, 2, axis=0), 2, axis=1)[::2, ::2],
    "reversed": lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
    "one row for all": lambda x: np.broadcast_to(x[0], x.shape),
}


@DTYPES
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_any_memory_layout_of_the_input_gives_the_same(nn, assert_like_torch, rng, layout, dtype):
    layer = nn.Linear(40, 33, dtype=dtype, rng=rng)
    assert_like_torch(layer, twin_of(layer), layout(rng.standard_normal((19, 40)).astype(dtype)))


@DTYPES
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_any_memory_layout_of_dout_gives_the_same(nn, assert_close, rng, layout, dtype):
    layer = nn.Linear(40, 33, dtype=dtype, rng=rng)
    x, dout = rng.standard_normal((19, 40)).astype(dtype), layout(rng.standard_normal((19, 33)).astype(dtype))
    layer(x)
    dx = layer.backward(dout)
    assert_close(dx, dout @ layer.weight.data, "dx")
    assert_close(layer.weight.grad, dout.T @ x, "dw")
    assert_close(layer.bias.grad, dout.sum(axis=0), "db")


@given(rows=st.integers(1, 70), inputs=st.integers(1, 70), outputs=st.integers(1, 70), seed=st.integers(0, 99))
def test_every_size_agrees_with_the_definition(rows, inputs, outputs, seed):
    rng = np.random.default_rng(seed)
    layer = Linear(inputs, outputs, rng=rng)
    x, dout = rng.standard_normal((rows, inputs), np.float32), rng.standard_normal((rows, outputs), np.float32)
    # sums of at most 70 products of numbers around 1: 6e-8 * sqrt(70) * 10
    close = {"rtol": 5e-6, "atol": 5e-5}
    np.testing.assert_allclose(layer(x), x.astype(float) @ layer.weight.data.T + layer.bias.data, **close)
    np.testing.assert_allclose(layer.backward(dout), dout.astype(float) @ layer.weight.data, **close)
    np.testing.assert_allclose(layer.weight.grad, dout.T.astype(float) @ x, **close)


def test_a_second_backward_pass_adds_to_the_gradients(nn, rng):
    layer = nn.Linear(5, 3, dtype=np.float64, rng=rng)
    x, dout = rng.standard_normal((4, 5)), rng.standard_normal((4, 3))
    layer(x)
    layer.backward(dout)
    once = layer.weight.grad.copy(), layer.bias.grad.copy()
    layer(x)
    layer.backward(dout)
    np.testing.assert_array_equal(layer.weight.grad, 2 * once[0])
    np.testing.assert_array_equal(layer.bias.grad, 2 * once[1])


@pytest.mark.parametrize("name", ["weight", "bias"])
def test_parameters_begin_uniform_within_torchs_bound(name):
    ours = getattr(Linear(400, 30_000, rng=np.random.default_rng(0)), name).data
    torch.manual_seed(0)
    theirs = getattr(torch.nn.Linear(400, 30_000), name).detach().numpy()
    bound = 1 / np.sqrt(400)
    for values in (ours, theirs):
        assert np.abs(values).max() <= np.float32(bound)
        # the mean of n squares of a uniform variable has the relative deviation sqrt(0.8 / n), 0.5 % for the 30,000 biases
        assert np.mean(values.astype(float) ** 2) == pytest.approx(bound**2 / 3, rel=0.02)
    assert np.abs(ours.astype(float).mean()) < 4 * bound / np.sqrt(3 * ours.size)


def test_the_same_generator_gives_the_same_parameters():
    first, second = (Linear(6, 4, rng=np.random.default_rng(5)) for _ in range(2))
    third = Linear(6, 4).reset_parameters(np.random.default_rng(5))
    for layer in (second, third):
        np.testing.assert_array_equal(layer.weight.data, first.weight.data)
        np.testing.assert_array_equal(layer.bias.data, first.bias.data)


def test_the_weight_is_the_transpose_of_a_contiguous_array_and_stays_so():
    layer = Linear(6, 4)
    assert layer.weight.shape == (4, 6) and layer.weight.data.T.flags.c_contiguous
    assert layer.double().weight.data.T.flags.c_contiguous
    layer.load_state_dict({"weight": np.ones((4, 6)), "bias": np.ones(4)})
    assert layer.weight.data.T.flags.c_contiguous


@pytest.mark.parametrize("shape", [(4, 6), (5, 4), (), (2, 5, 3)], ids=str)
def test_a_wrong_shape_is_refused_with_the_layer_and_both_shapes(nn, shape):
    with pytest.raises(ValueError, match=r"^Linear: x has shape .*; expected \(N, 5\)$") as caught:
        nn.Linear(5, 3)(np.zeros(shape, np.float32))
    assert str(shape) in str(caught.value)


@pytest.mark.parametrize("dtype", [np.float64, np.uint8, np.int64])
def test_a_wrong_dtype_is_refused_with_what_to_convert(nn, dtype):
    message = (
        rf"^Linear: x is {np.dtype(dtype)}, the parameters are float32; convert one of them: x.astype\(np.float32\), or model.double\(\)"
    )
    with pytest.raises(TypeError, match=message):
        nn.Linear(5, 3)(np.zeros((2, 5), dtype))


def test_a_transposed_dout_is_refused(nn):
    layer = nn.Linear(5, 3)
    layer(np.zeros((4, 5), np.float32))
    with pytest.raises(ValueError, match=r"^Linear: dout has shape \(3, 4\); expected \(4, 3\), like the output$"):
        layer.backward(np.zeros((3, 4), np.float32))


@pytest.mark.parametrize(("sizes", "name"), [((0, 3), "in_features"), ((3, -1), "out_features")])
def test_sizes_below_one_are_refused(sizes, name):
    with pytest.raises(ValueError, match=rf"^Linear: {name} is -?\d; it must be at least 1$"):
        Linear(*sizes)


def test_scale_multiplies_values_and_gradients_by_a_fixed_number(nn, rng):
    scale, x = nn.Scale(0.25), rng.standard_normal((3, 4), np.float32)
    np.testing.assert_array_equal(scale(x), x / 4, strict=True)
    np.testing.assert_array_equal(scale.backward(x), x / 4, strict=True)
    assert not list(scale.parameters())
