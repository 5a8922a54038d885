"""The homework's optimizers against torch.optim, where that has the same arithmetic, and against the formula, where not."""

import pytest

torch = pytest.importorskip("torch")

from chainrule.compat.cs236781 import optimizers  # noqa: E402

# float32: a step or two of unit roundoff 6e-8, over five steps, times ten
CLOSE = dict(rtol=5e-6, atol=1e-6)


def parameters_and_gradients():
    torch.manual_seed(42)
    return [(torch.randn(*shape), torch.randn(*shape)) for shape in [(50, 10), (10,)]]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda params: optimizers.VanillaSGD(params, 0.5, 0.1), lambda params: torch.optim.SGD(params, 0.5, weight_decay=0.1)),
        (
            lambda params: optimizers.MomentumSGD(params, learn_rate=0.1, reg=0.02, momentum=0.8),
            lambda params: torch.optim.SGD(params, 0.1, momentum=0.8, weight_decay=0.02),
        ),
    ],
    ids=["vanilla", "momentum"],
)
def test_five_steps_are_those_of_torch_optim_with_the_penalty_as_weight_decay(ours, theirs):
    params = parameters_and_gradients()
    twins = [p.clone().requires_grad_() for p, _ in params]
    optimizer, twin = ours(params), theirs(twins)
    for step in range(5):
        for (_, dp), tensor in zip(params, twins, strict=True):
            dp.mul_(0.5 + 0.3 * step)
            tensor.grad = dp.clone()
        optimizer.step()
        twin.step()
    for (p, _), tensor in zip(params, twins, strict=True):
        torch.testing.assert_close(p, tensor.detach(), **CLOSE)


def test_rmsprop_divides_by_the_root_of_the_mean_square_plus_eps():
    params = parameters_and_gradients()
    p, r = params[0][0].clone(), torch.zeros(50, 10)
    optimizer = optimizers.RMSProp(params, learn_rate=0.01, reg=0.1, decay=0.9, eps=0.5)
    for _ in range(3):
        optimizer.step()
        gradient = params[0][1] + 0.1 * p
        r = 0.9 * r + 0.1 * gradient**2
        p -= 0.01 * gradient / torch.sqrt(r + 0.5)
    torch.testing.assert_close(params[0][0], p, **CLOSE)


@pytest.mark.parametrize("make", [optimizers.VanillaSGD, optimizers.MomentumSGD, optimizers.RMSProp])
class TestEveryOptimizer:
    def test_a_step_changes_the_parameters_in_place_and_no_gradient(self, make):
        params = parameters_and_gradients()
        p, dp = params[0]
        before, address = (p.clone(), dp.clone()), p.data_ptr()
        make(params, learn_rate=0.1, reg=0.1).step()
        assert p.data_ptr() == address
        assert not torch.equal(p, before[0])
        assert torch.equal(dp, before[1])

    def test_zero_grad_empties_the_gradients_in_place(self, make):
        params = parameters_and_gradients()
        make(params).zero_grad()
        assert not any(dp.any() for _, dp in params)

    def test_the_learning_rate_is_1e_3_and_there_is_no_penalty_by_default(self, make):
        optimizer = make(parameters_and_gradients())
        assert (optimizer.learn_rate, optimizer.reg) == (1e-3, 0)

    def test_tensors_are_taken_with_their_own_gradients(self, make):
        with_gradient, without = (torch.randn(3, requires_grad=True) for _ in range(2))
        with_gradient.grad = torch.ones(3)
        before = with_gradient.detach().clone(), without.detach().clone()
        optimizer = make([with_gradient, without])
        optimizer.step()
        optimizer.zero_grad()
        assert (with_gradient < before[0]).all()
        assert torch.equal(without, before[1])
        assert not with_gradient.grad.any()
