"""The compiled update rules against torch.optim, step by step."""

import math

import numpy as np
import pytest

from chainrule import kernels
from chainrule.kernels.updates import SERIAL

torch = pytest.importorskip("torch", reason="PyTorch is the reference here")

STEPS, LR = 5, 0.05


def run(rule, make_optimizer, states, dtype, size=37):
    """Both optimizers over the same gradients; `rule(w, grad, states, step)` changes w and the states in place."""
    rng = np.random.default_rng(0)
    w, states = rng.standard_normal(size).astype(dtype), {name: np.zeros(size, dtype) for name in states}
    tensor = torch.nn.Parameter(torch.from_numpy(w.copy()))
    optimizer = make_optimizer([tensor])
    for step in range(STEPS):
        grad = rng.standard_normal(size).astype(dtype)
        tensor.grad = torch.from_numpy(grad.copy())
        optimizer.step()
        kept = grad.copy()
        rule(w, grad, states, step)
        np.testing.assert_array_equal(grad, kept)
    # the same operations in the same order: a few units of roundoff a step, where torch uses a fused multiply-add and we do not
    tolerance = 4 * STEPS * np.finfo(dtype).eps
    assert w.dtype == dtype
    np.testing.assert_allclose(w, tensor.detach().numpy(), rtol=tolerance, atol=tolerance)
    for name, array in states.items():
        stored = optimizer.state[tensor][name].numpy()
        np.testing.assert_allclose(array, stored, rtol=tolerance, atol=tolerance, err_msg=name)


SGD = {
    "plain": {},
    "momentum": {"momentum": 0.9},
    "dampening": {"momentum": 0.9, "dampening": 0.3},
    "nesterov": {"momentum": 0.9, "nesterov": True},
    "decay": {"momentum": 0.5, "weight_decay": 0.1},
    "decay alone": {"weight_decay": 0.1},
    "up": {"momentum": 0.5, "maximize": True, "weight_decay": 0.1},
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", SGD.values(), ids=SGD)
def test_sgd_equals_torch(options, dtype):
    settings = {"momentum": 0.0, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False, "maximize": False} | options

    def rule(w, grad, states, step):
        now = settings | ({} if step else {"dampening": 0.0})  # the first velocity is the gradient itself
        kernels.sgd(w, grad, states.get("momentum_buffer", grad), LR, *now.values())

    run(rule, lambda p: torch.optim.SGD(p, lr=LR, **options), ["momentum_buffer"] if settings["momentum"] else [], dtype)


ADAM = {
    "plain": {},
    "betas": {"betas": (0.6, 0.95), "eps": 1e-3},
    "decay": {"weight_decay": 0.1},
    "amsgrad": {"amsgrad": True},
    "up": {"maximize": True, "weight_decay": 0.1, "amsgrad": True},
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("decoupled", [False, True], ids=["Adam", "AdamW"])
@pytest.mark.parametrize("options", ADAM.values(), ids=ADAM)
def test_adam_equals_torch(options, decoupled, dtype):
    settings = {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0, "amsgrad": False, "maximize": False} | options
    beta1, beta2 = settings["betas"]

    def rule(w, grad, states, step):
        kernels.adam(
            w, grad, states["exp_avg"], states["exp_avg_sq"], states.get("max_exp_avg_sq"), LR, beta1, beta2, settings["eps"],
            settings["weight_decay"], decoupled, settings["maximize"], 1 - beta1 ** (step + 1), 1 - beta2 ** (step + 1),
        )  # fmt: skip

    kind = torch.optim.AdamW if decoupled else torch.optim.Adam
    names = ["exp_avg", "exp_avg_sq"] + (["max_exp_avg_sq"] if settings["amsgrad"] else [])
    run(rule, lambda p: kind(p, lr=LR, **{"weight_decay": 0.0} | options), names, dtype)


RMSPROP = {
    "plain": {},
    "momentum": {"momentum": 0.9},
    "centered": {"centered": True},
    "both": {"momentum": 0.9, "centered": True, "weight_decay": 0.1, "alpha": 0.8, "eps": 1e-3},
    "up": {"maximize": True},
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", RMSPROP.values(), ids=RMSPROP)
def test_rmsprop_equals_torch(options, dtype):
    settings = {"alpha": 0.99, "eps": 1e-8, "weight_decay": 0.0, "momentum": 0.0, "centered": False, "maximize": False} | options

    def rule(w, grad, states, step):
        kernels.rmsprop(
            w, grad, states["square_avg"], states.get("momentum_buffer"), states.get("grad_avg"), LR, settings["alpha"], settings["eps"],
            settings["weight_decay"], settings["momentum"], settings["maximize"],
        )  # fmt: skip

    names = ["square_avg"] + (["momentum_buffer"] if settings["momentum"] else []) + (["grad_avg"] if settings["centered"] else [])
    run(rule, lambda p: torch.optim.RMSprop(p, lr=LR, **options), names, dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.1, "eps": 1e-3}, {"maximize": True}])
def test_adagrad_equals_torch(options, dtype):
    settings = {"eps": 1e-10, "weight_decay": 0.0, "maximize": False} | options
    run(
        lambda w, grad, states, step: kernels.adagrad(w, grad, states["sum"], LR, *settings.values()),
        lambda p: torch.optim.Adagrad(p, lr=LR, **options),
        ["sum"],
        dtype,
    )


RULES = {
    "sgd": lambda w, g, a, b, c: kernels.sgd(w, g, a, LR, 0.9, 0.0, 0.1, True, False),
    "adam": lambda w, g, a, b, c: kernels.adam(w, g, a, b, None, LR, 0.9, 0.999, 1e-8, 0.1, False, False, 0.1, 0.001),
    "rmsprop": lambda w, g, a, b, c: kernels.rmsprop(w, g, b, a, c, LR, 0.9, 1e-8, 0.1, 0.9, False),
    "adagrad": lambda w, g, a, b, c: kernels.adagrad(w, g, b, LR, 1e-8, 0.1, False),
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_large_arrays_get_the_same_bits_on_every_number_of_threads(rule):
    size = SERIAL + 13
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(size).astype(np.float32) for _ in range(3)] + [
        rng.uniform(1, 2, size).astype(np.float32),
        np.zeros(size, "f"),
    ]
    before, results = kernels.threads(), set()
    for number in {1, before}:
        kernels.set_threads(number)
        w, g, a, b, c = (array.copy() for array in arrays)
        rule(w, g, a, b, c)
        results.add(b"".join(array.tobytes() for array in (w, g, a, b, c)))
    # the first numbers are those of a call with the first numbers alone
    w, g, a, b, c = (array[:100].copy() for array in arrays)
    rule(w, g, a, b, c)
    kernels.set_threads(before)
    assert len(results) == 1
    assert next(iter(results)).startswith(w.tobytes())


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_nothing_beside_the_arrays_is_written(rule):
    for size in (1, 2, 15, 16, 17, 100):
        memory = np.full((5, size + 32), 7.0)
        rule(*(row[16 : 16 + size] for row in memory))
        assert np.all(memory[:, :16] == 7)
        assert np.all(memory[:, 16 + size :] == 7)


def test_the_numbers_of_one_step_of_adam():
    w, g, m, v = np.array([1.0]), np.array([0.5]), np.array([0.2]), np.array([0.1])
    kernels.adam(w, g, m, v, None, 0.1, 0.9, 0.99, 1e-8, 0.0, False, False, 1 - 0.9**3, 1 - 0.99**3)
    assert math.isclose(m[0], 0.9 * 0.2 + 0.1 * 0.5, rel_tol=1e-15)
    assert math.isclose(v[0], 0.99 * 0.1 + 0.01 * 0.25, rel_tol=1e-15)
    assert math.isclose(w[0], 1 - 0.1 * (m[0] / (1 - 0.9**3)) / (math.sqrt(v[0] / (1 - 0.99**3)) + 1e-8), rel_tol=1e-15)
