import numpy as np
import pytest
import torch

from chainrule import optim
from chainrule.nn import Parameter
from chainrule.pytorch import optim as torch_optim


def make(parameters, library=optim):
    """Muon for what has two axes or more, SGD in two groups for the rest."""
    matrices = [parameter for parameter in parameters if len(parameter.shape) > 1]
    vectors = [parameter for parameter in parameters if len(parameter.shape) <= 1]
    sgd = library.SGD([{"params": vectors[:1], "lr": 0.3}, {"params": vectors[1:]}], lr=0.1, momentum=0.9)
    return optim.Chain([library.Muon(matrices, lr=0.05), sgd])


def test_each_optimizer_moves_its_own(make_parameters, set_gradients, assert_same_parameters):
    ours, theirs = make_parameters()
    chains, rng = (make(ours), make(theirs, torch_optim)), np.random.default_rng(0)
    for _ in range(50):
        set_gradients(ours, theirs, rng)
        for chain in chains:
            chain.step()
    assert_same_parameters(ours, theirs, 1e-10)  # as Muon alone


def test_its_groups_are_theirs_and_a_schedule_sets_them(make_parameters):
    ours, _ = make_parameters()
    chain = make(ours)
    assert [group["lr"] for group in chain.param_groups] == [0.05, 0.3, 0.1]
    optim.TriangularLR(chain, [4, 2, 8]).seek(1)
    assert [group["lr"] for group in chain.param_groups] == pytest.approx([0.05 * 3 / 4, 0.3 / 2, 0.1 * 7 / 8])
    assert chain.optimizers[1].param_groups[0]["lr"] == pytest.approx(0.15)


def test_gradients_are_forgotten_in_all(make_parameters, set_gradients):
    ours, theirs = make_parameters()
    set_gradients(ours, theirs, np.random.default_rng(0))
    make(ours).zero_grad()
    assert all(parameter.grad is None for parameter in ours)


def test_a_loaded_state_continues_bit_for_bit(make_parameters, set_gradients):
    results = []
    for interrupted in (False, True):
        ours, theirs = make_parameters()
        chain, rng = make(ours), np.random.default_rng(0)
        for step in range(8):
            if interrupted and step == 4:
                state = chain.state_dict()
                ours = [Parameter(parameter.data.copy(order="K")) for parameter in ours]
                chain = make(ours)
                chain.load_state_dict(state)
            set_gradients(ours, theirs, rng, skip={1} if step < 2 else ())
            chain.step()
        results.append([parameter.data for parameter in ours])
    for uninterrupted, resumed in zip(*results, strict=True):
        np.testing.assert_array_equal(resumed, uninterrupted)


def test_its_state_numbers_the_parameters_of_all(make_parameters, set_gradients):
    ours, theirs = make_parameters()
    chains = make(ours), make(theirs, torch_optim)
    set_gradients(ours, theirs, np.random.default_rng(0))
    for chain in chains:
        chain.step()
    state, expected = (chain.state_dict() for chain in chains)
    assert [group["params"] for group in state["param_groups"]] == [[0, 1, 2, 3], [4], [5]]
    assert [group["params"] for group in expected["param_groups"]] == [[0, 1, 2, 3], [4], [5]]
    assert {index: list(entry) for index, entry in state["state"].items()} == {index: ["momentum_buffer"] for index in range(6)}
    assert state["state"].keys() == expected["state"].keys()


def test_a_state_with_other_groups_is_refused(make_parameters):
    ours, _ = make_parameters()
    state = make(ours).state_dict()
    state["param_groups"].pop()
    with pytest.raises(ValueError, match="Chain: the state has 2 parameter groups, these optimizers 3"):
        make(ours).load_state_dict(state)


def test_an_empty_chain_is_refused():
    with pytest.raises(ValueError, match="Chain: the list of optimizers is empty"):
        optim.Chain([])


@pytest.mark.parametrize("kind", ["ours", "torch's"])
def test_a_parameter_in_two_optimizers_is_refused(kind):
    library, parameter = (optim, Parameter(np.zeros((2, 3)))) if kind == "ours" else (torch.optim, torch.nn.Parameter(torch.zeros(2, 3)))
    with pytest.raises(ValueError, match="Chain: a parameter appears in two optimizers"):
        optim.Chain([library.SGD([parameter], lr=0.1), library.Adam([parameter])])
