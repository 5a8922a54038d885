"""What the tests of the functions share: random arrays in every memory layout, and PyTorch's autograd as the independent reference."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def random_array():
    """random_array(rng, shape, dtype, layout): standard normal numbers, read-only, so that a function that writes into them fails."""

    def build(rng, shape, dtype=np.float64, layout="contiguous"):
        values = rng.standard_normal(shape).astype(dtype)
        if layout == "transposed":
            values = np.asfortranarray(values)
        elif layout == "strided":
            values = np.repeat(values, 2, axis=-1)[..., ::2]
        elif layout == "reversed":
            values = values[..., ::-1].copy()[..., ::-1]
        values.setflags(write=False)
        return values

    return build


@pytest.fixture(scope="session")
def assert_agrees_with_torch():
    """assert_agrees_with_torch(forward, backward, reference, arrays, ...): compare outputs and all gradients with autograd.

    The tolerance, relative to the greatest entry, is ten unit roundoffs times the root of the length of the longest sum, times the
    condition: the factor by which the problem itself amplifies rounding errors.
    """
    torch = pytest.importorskip("torch", reason="PyTorch is the reference here")

    def compare(forward, backward, reference, arrays, *, longest_sum=1, condition=1.0):
        tensors = [torch.from_numpy(array.copy()).requires_grad_() for array in arrays]
        expected_out = reference(*tensors)
        out, cache = forward(*arrays)
        dout = np.random.default_rng(7).standard_normal(out.shape).astype(out.dtype)
        dout.setflags(write=False)
        gradients = backward(dout, cache)
        gradients = gradients if isinstance(gradients, tuple) else (gradients,)
        expected = torch.autograd.grad(expected_out, tensors, torch.from_numpy(dout.copy()))

        dtype = arrays[0].dtype
        tolerance = 10 * np.finfo(dtype).eps / 2 * np.sqrt(longest_sum) * condition
        pairs = [
            ("out", out, expected_out.detach()),
            *((f"gradient {i}", *pair) for i, pair in enumerate(zip(gradients, expected, strict=True))),
        ]
        for name, actual, wanted in pairs:
            wanted = wanted.numpy()
            assert actual.dtype == dtype and actual.shape == wanted.shape, name
            scale = max(1.0, np.abs(wanted).max(initial=0))
            np.testing.assert_allclose(actual, wanted, rtol=tolerance, atol=tolerance * scale, err_msg=name)

    return compare
