import inspect

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chainrule import optim
from chainrule.nn import Parameter
from chainrule.optim import orthogonalize
from chainrule.optim.muon import COEFFICIENTS
from chainrule.pytorch import optim as torch_optim

MATRICES = [(4, 3), (3, 17), (9, 9), (1, 5), (6, 1)]
FILTERS = [(6, 3, 3, 3), (20, 2, 1, 3), (5, 4, 2, 2), (8, 7)]
OPTIONS = [
    {},
    {"lr": 0.05, "weight_decay": 0.0, "momentum": 0.6, "ns_steps": 3},
    {"lr": 0.05, "nesterov": False},
    {"lr": 0.05, "adjust_lr_fn": "match_rms_adamw", "ns_coefficients": (3.0, -3.2, 1.2)},
    {"lr": 0.05, "momentum": 0.0},
]
# 50 steps of up to 5 iterations, each of sums of at most 27 terms at 1.1e-16; the iteration is 3.4 times as steep as its argument is small
TOLERANCE = 1e-10


@pytest.fixture
def run(set_gradients, assert_same_parameters):
    """run(ours, theirs, optimizers) takes 50 steps with both, with some gradients missing, and compares the parameters."""

    def steps_of_both(ours, theirs, optimizers, steps=50, seed=0):
        rng = np.random.default_rng(seed)
        for step in range(steps):
            set_gradients(ours, theirs, rng, skip={step % 7} if step % 3 == 2 else ())
            for optimizer in optimizers:
                optimizer.step()
        assert_same_parameters(ours, theirs, TOLERANCE)

    return steps_of_both


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_fifty_steps_of_matrices_are_torchs_in_the_parameters_dtype(make_parameters, run, monkeypatch, options):
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)  # torch rounds there; nothing else differs
    ours, theirs = make_parameters(shapes=MATRICES)
    run(ours, theirs, (optim.Muon(ours, **options), torch.optim.Muon(theirs, **options)))


@pytest.mark.parametrize("options", [*OPTIONS, {"lr": 0.24, "momentum": 0.6, "normalize_weights": True}], ids=str)
def test_fifty_steps_of_filters_are_those_of_the_twin(make_parameters, run, options):
    ours, theirs = make_parameters(shapes=FILTERS)
    # as Conv2d keeps them: (KH, KW, C, F) in memory
    ours[1] = Parameter(np.ascontiguousarray(ours[1].data.transpose(2, 3, 1, 0)).transpose(3, 2, 0, 1))
    run(ours, theirs, (optim.Muon(ours, **options), torch_optim.Muon(theirs, **options)))


def test_float32_stays_float32_and_is_near_float64(make_parameters, set_gradients):
    results = []
    for dtype in (np.float32, np.float64):
        ours, theirs = make_parameters(dtype, shapes=FILTERS)
        optimizer, rng = optim.Muon(ours, lr=0.05), np.random.default_rng(0)
        for _ in range(5):
            set_gradients(ours, theirs, rng)
            optimizer.step()
        assert all(parameter.dtype == dtype for parameter in ours)
        results.append([parameter.data for parameter in ours])
    for single, double in zip(*results, strict=True):
        np.testing.assert_allclose(single, double, atol=1e-5)  # 5 steps of some 50 roundings at 6e-8


def test_weights_are_brought_to_the_root_of_their_number_before_the_step():
    rng = np.random.default_rng(0)
    parameter = Parameter(rng.standard_normal((6, 2, 3, 3)) * 7)
    optimizer = optim.Muon([parameter], lr=1e-9, weight_decay=0.0, normalize_weights=True)
    parameter.accumulate(rng.standard_normal(parameter.shape))
    optimizer.step()
    assert np.linalg.norm(parameter.data) == pytest.approx(np.sqrt(6), rel=1e-8)  # the step has 1e-9 of its size


# --- the iteration --------------------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 1000), rows=st.integers(1, 12), columns=st.integers(1, 12))
def test_singular_vectors_stay_and_singular_values_follow_the_polynomial(seed, rows, columns):
    matrix = np.random.default_rng(seed).standard_normal((rows, columns))
    u, values, vt = np.linalg.svd(matrix, full_matrices=False)
    values = values / np.sqrt(np.sum(values**2))
    for _ in range(5):
        a, b, c = COEFFICIENTS
        values = a * values + b * values**3 + c * values**5
    # 5 iterations, 3.4 times steeper each: 500 times the rounding of sums of 12 terms
    np.testing.assert_allclose(orthogonalize(matrix), (u * values) @ vt, atol=1e-12)


def test_well_conditioned_matrices_come_near_to_orthogonal():
    matrix = np.random.default_rng(0).standard_normal((20, 60)).astype(np.float32)
    values = np.linalg.svd(orthogonalize(matrix), compute_uv=False)
    assert 0.65 < values.min() <= values.max() < 1.25


def test_the_size_of_the_momentum_does_not_matter():
    matrix = np.random.default_rng(0).standard_normal((5, 7))
    np.testing.assert_allclose(orthogonalize(matrix * 1024), orthogonalize(matrix), rtol=0, atol=1e-15)  # a power of 2: no rounding


def test_nothing_is_orthogonal_to_nothing():
    np.testing.assert_array_equal(orthogonalize(np.zeros((3, 4))), 0)


def test_the_matrix_is_not_changed():
    matrix = np.random.default_rng(0).standard_normal((5, 3))
    before = matrix.copy()
    orthogonalize(matrix)
    np.testing.assert_array_equal(matrix, before)


# --- arguments and state --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [optim.Muon, torch_optim.Muon], ids=["ours", "the twin"])
def test_arguments_have_torchs_names_order_and_defaults(kind):
    ours, theirs = (inspect.signature(muon).parameters for muon in (kind, torch.optim.Muon))
    assert {name: entry.default for name, entry in ours.items() if name != "normalize_weights"} == {
        name: entry.default for name, entry in theirs.items()
    }
    assert [name for name in ours if name != "normalize_weights"] == list(theirs)
    assert ours["normalize_weights"].kind is inspect.Parameter.KEYWORD_ONLY


def test_a_loaded_state_continues_bit_for_bit_and_in_the_twin(make_parameters, run):
    ours, theirs = make_parameters(shapes=FILTERS)
    optimizers = optim.Muon(ours, lr=0.05, ns_steps=3), torch_optim.Muon(theirs, lr=0.05, ns_steps=3)
    run(ours, theirs, optimizers, steps=3)
    state = optimizers[1].state_dict()
    arrays = {index: {name: tensor.numpy().copy() for name, tensor in entry.items()} for index, entry in state["state"].items()}
    fresh = optim.Muon(ours)
    fresh.load_state_dict({"state": arrays, "param_groups": state["param_groups"]})
    run(ours, theirs, (fresh, optimizers[1]), steps=5, seed=1)


WRONG = [
    ({"ns_steps": 0}, r"Muon: ns_steps is 0; it must be 1 to 99"),
    ({"ns_coefficients": (1, 2)}, r"Muon: ns_coefficients are \(1, 2\); three are needed"),
    ({"adjust_lr_fn": "rms"}, "Muon: adjust_lr_fn is 'rms'; it must be None, 'original' or 'match_rms_adamw'"),
    ({"lr": -1}, "Muon: lr is -1; it must be at least 0"),
    ({"momentum": -0.5}, "Muon: momentum is -0.5; it must be at least 0"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_arguments_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        optim.Muon([Parameter(np.zeros((2, 3)))], **options)


def test_vectors_are_refused_with_what_to_do():
    with pytest.raises(ValueError, match=r"Muon: a parameter has shape \(3,\); .* give biases and scales to another optimizer, both in an"):
        optim.Muon([Parameter(np.zeros((2, 3))), Parameter(np.zeros(3))])
