import copy
import doctest

import numpy as np
import pytest
import torch

from chainrule import nn as library
from chainrule.nn import Linear, Module, Parameter, Sequential
from chainrule.pytorch import nn as torch_nn
from chainrule.verification import check_module


def network(nn):
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(6, 5, bias=False),
        nn.BatchNorm1d(5),
        nn.ReLU(),
        nn.Residual(nn.Sequential(nn.LayerNorm(5), nn.GELU(), nn.Dropout(0.2), nn.Linear(5, 5))),
        nn.Concat(nn.Linear(5, 2), nn.BatchNorm1d(5, affine=False)),
        nn.Linear(7, 3),
    )


class Scale(Module):
    """A module that a user writes: one parameter, one child."""

    def __init__(self):
        self.factor = Parameter(np.full(3, 2.0))
        self.inner = Linear(3, 3, dtype=np.float64)

    def forward(self, x):
        self._cache = self.inner(x)
        return self._cache * self.factor.data

    def backward(self, dout):
        self.factor.accumulate((dout * self.cached()).sum(axis=0))
        return self.inner.backward(dout * self.factor.data)


# --- state ------------------------------------------------------------------------------------------------------------------------


def test_keys_order_shapes_and_dtypes_of_the_state_are_torchs():
    ours, theirs = network(library).state_dict(), network(torch_nn).state_dict()
    assert list(ours) == list(theirs)
    assert [array.shape for array in ours.values()] == [tuple(tensor.shape) for tensor in theirs.values()]
    assert [f"torch.{array.dtype}" for array in ours.values()] == [str(tensor.dtype) for tensor in theirs.values()]


def test_names_of_parameters_and_modules_are_torchs():
    ours, theirs = network(library), network(torch_nn)
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]
    assert [name for name, _ in ours.named_modules()] == [name for name, _ in theirs.named_modules()]
    assert [name for name, _ in ours.named_children()] == [name for name, _ in theirs.named_children()]


def test_text_is_torchs():
    assert repr(network(library)) == repr(network(torch_nn))


def test_what_was_saved_is_loaded_bit_for_bit(rng):
    source, target = network(library).reset_parameters(rng), network(library)
    source(rng.standard_normal((4, 6), np.float32))
    target.load_state_dict(source.state_dict())
    for name, array in source.state_dict().items():
        np.testing.assert_array_equal(target.state_dict()[name], array)
        assert not np.shares_memory(target.state_dict()[name], array)


def test_torchs_tensors_are_loaded_as_they_are():
    source, target = network(torch_nn), network(library)
    target.load_state_dict(source.state_dict())
    for name, tensor in source.state_dict().items():
        np.testing.assert_array_equal(target.state_dict()[name], tensor.numpy())


BAD_STATES = {
    "missing": (lambda state: state.pop("6.bias"), "6.bias is missing"),
    "unknown": (lambda state: state.update({"9.weight": np.zeros(3)}), "9.weight is not in this network"),
    "transposed": (lambda state: state.update({"1.weight": np.zeros((6, 5))}), "1.weight has shape (6, 5), this network has (5, 6)"),
    "broadcastable": (lambda state: state.update({"6.bias": np.zeros(1)}), "6.bias has shape (1,), this network has (3,)"),
    "text": (lambda state: state.update({"6.bias": np.array(["a", "b", "c"])}), "6.bias is of dtype <U1; it must be real numbers"),
    "complex": (lambda state: state.update({"6.bias": np.zeros(3, complex)}), "6.bias is of dtype complex128; it must be real numbers"),
}


@pytest.mark.parametrize(("change", "fault"), BAD_STATES.values(), ids=BAD_STATES)
def test_a_state_that_does_not_fit_is_refused_and_nothing_is_changed(change, fault):
    target = network(library)
    before = {name: array.copy() for name, array in target.state_dict().items()}
    state = {name: array + 1 for name, array in before.items()}
    change(state)
    with pytest.raises(ValueError) as caught:
        target.load_state_dict(state)
    assert str(caught.value) == f"the state_dict does not fit Sequential: {fault}"
    for name, array in target.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_many_faults_are_cut_short():
    with pytest.raises(ValueError, match=r"6\.bias|1\.weight is missing.*; and \d+ more$"):
        network(library).load_state_dict({})


def test_without_strict_what_fits_is_loaded_but_no_wrong_shape():
    target = Linear(3, 2)
    target.load_state_dict({"bias": np.array([1.0, 2.0]), "other": np.zeros(1)}, strict=False)
    np.testing.assert_array_equal(target.bias.data, [1, 2])
    with pytest.raises(ValueError, match=r"bias has shape \(3,\), this network has \(2,\)"):
        target.load_state_dict({"bias": np.zeros(3)}, strict=False)


def test_a_copy_of_a_network_shares_nothing(rng):
    source = network(library)
    twin = copy.deepcopy(source)
    for parameter, other in zip(source.parameters(), twin.parameters(), strict=True):
        np.testing.assert_array_equal(parameter.data, other.data)
        assert not np.shares_memory(parameter.data, other.data)


# --- modes, dtype, gradients ------------------------------------------------------------------------------------------------------


def test_train_and_eval_reach_every_module_and_return_the_network():
    model = network(library)
    assert all(module.training for module in model.modules())
    assert model.eval() is model and not any(module.training for module in model.modules())
    assert model.train() is model and all(module.training for module in model.modules())


def test_double_and_float_convert_parameters_and_statistics_but_no_counter(rng):
    model = network(library)
    model(rng.standard_normal((4, 6), np.float32))
    assert model.double() is model
    assert {str(array.dtype) for array in model.state_dict().values()} == {"float64", "int64"}
    assert model(rng.standard_normal((4, 6))).dtype == np.float64
    assert {str(array.dtype) for array in model.float().state_dict().values()} == {"float32", "int64"}


def test_gradients_of_two_passes_add_up_as_torchs(assert_close, rng):
    module, twin = network(library).double().eval(), network(torch_nn).double().eval()
    twin.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in module.state_dict().items()})
    for _ in range(2):
        x, dout = rng.standard_normal((4, 6)), rng.standard_normal((4, 3))
        module(x)
        module.backward(dout)
        twin(torch.from_numpy(x)).backward(torch.from_numpy(dout))
    for (name, parameter), expected in zip(module.named_parameters(), twin.parameters(), strict=True):
        assert_close(parameter.grad, expected.grad.numpy(), name)


def test_zero_grad_forgets_all_gradients(rng):
    model = network(library)
    model.backward(np.ones_like(model(rng.standard_normal((4, 6), np.float32))))
    assert all(parameter.grad is not None for parameter in model.parameters())
    model.zero_grad()
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_gradient_of_another_shape_is_refused():
    parameter = Parameter(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"^a gradient has shape \(3,\); its parameter has \(2, 3\), and both must be the same$"):
        parameter.accumulate(np.zeros(3))


def test_the_first_gradient_is_copied():
    parameter, gradient = Parameter(np.zeros(3)), np.ones(3)
    parameter.accumulate(gradient)
    gradient[:] = 7
    np.testing.assert_array_equal(parameter.grad, 1)


def test_a_frozen_parameter_gets_no_gradient_and_stays_in_the_state(rng):
    model = network(library)
    frozen = model[1].weight
    assert frozen.requires_grad
    frozen.requires_grad = False
    assert repr(frozen) == "Parameter(shape=(5, 6), dtype=float32, requires_grad=False)"
    x = rng.standard_normal((4, 6), np.float32)
    for _ in range(2):
        model.backward(np.ones_like(model(x)))
    assert frozen.grad is None
    assert all(parameter.grad is not None for parameter in model.parameters() if parameter is not frozen)
    assert frozen in list(model.parameters()) and "1.weight" in model.state_dict()


def test_a_parameter_stays_frozen_in_copies_and_conversions():
    model = network(library)
    model[1].weight.requires_grad = False
    assert not copy.deepcopy(model).double()[1].weight.requires_grad
    model.load_state_dict(network(library).state_dict())
    assert not model[1].weight.requires_grad
    assert not Parameter(np.zeros(3), requires_grad=False).requires_grad


def test_a_frozen_parameter_still_refuses_a_gradient_of_another_shape():
    with pytest.raises(ValueError, match="a gradient has shape"):
        Parameter(np.zeros((2, 3)), requires_grad=False).accumulate(np.zeros(3))


def test_the_same_generator_gives_the_same_network():
    first, second = (network(library).reset_parameters(np.random.default_rng(4)) for _ in range(2))
    for name, array in first.state_dict().items():
        np.testing.assert_array_equal(second.state_dict()[name], array)


# --- modules of one's own ---------------------------------------------------------------------------------------------------------


def test_attributes_are_found_as_parameters_and_children(rng):
    model = Sequential(Scale())
    assert list(model.state_dict()) == ["0.factor", "0.inner.weight", "0.inner.bias"]
    model.backward(np.ones_like(model(rng.standard_normal((4, 3)))))
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_a_shared_parameter_comes_once_and_is_stored_under_both_names():
    first, second = Linear(3, 3), Linear(3, 3)
    second.weight = first.weight
    model = Sequential(first, second)
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "0.bias", "1.bias"]
    assert list(model.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]


@pytest.mark.parametrize("keep", [lambda part: [part], lambda part: (1, part), lambda part: {"first": part}])
@pytest.mark.parametrize("part", [Linear(3, 3), Parameter(np.zeros(3))], ids=["module", "parameter"])
def test_parts_in_a_plain_collection_are_refused(keep, part):
    module = Module()
    module.parts = keep(part)
    kinds = f"{type(module.parts).__name__} that holds a {type(part).__name__}"
    message = f"^Module: the attribute parts is a {kinds}, which would neither be trained nor saved; make it an attribute of its own"
    for walk in (module.parameters, module.state_dict, lambda: Sequential(module)):
        with pytest.raises(TypeError, match=message):
            list(walk())
    assert repr(module) == "Module()"  # an error's note shows it


def test_a_list_that_is_filled_later_is_refused_too():
    module = Module()
    module.layers = []
    module.layers.append(Linear(3, 3))
    with pytest.raises(TypeError, match="the attribute layers is a list that holds a Linear"):
        list(module.parameters())


def test_a_list_of_parts_that_are_attributes_too_and_other_lists_are_fine():
    module = Module()
    module.one, module.shift, module.sizes, module.options = Linear(3, 3), Parameter(np.zeros(3)), [1, 2], {"a": None}
    module.parts = [module.one, module.shift]
    assert list(module.state_dict()) == ["shift", "one.weight", "one.bias"]


def test_the_example_of_a_module_has_the_gradients_that_differences_have(rng):
    namespace = {"Module": Module, "Parameter": Parameter, "np": np}
    (example,) = doctest.DocTestParser().get_examples(Module.__doc__)
    exec(example.source, namespace)
    model = Sequential(Linear(4, 3), namespace["Scale"](3)).reset_parameters(rng).double()
    check_module(model, rng.standard_normal((5, 4)))


def test_a_module_without_forward_or_backward_says_so():
    with pytest.raises(NotImplementedError, match=r"^Module defines no forward\(x\)$"):
        Module()(np.zeros(3))
    with pytest.raises(NotImplementedError, match=r"^Module defines no backward\(dout\)$"):
        Module().backward(np.zeros(3))


def test_text_of_a_parameter():
    assert repr(Parameter(np.zeros((2, 3), np.float32))) == "Parameter(shape=(2, 3), dtype=float32)"


@pytest.mark.parametrize("x", [[[1.0, 2.0]], None, 3.0], ids=str)
def test_an_input_that_is_no_array_is_refused(nn, x):
    with pytest.raises(TypeError, match=r"^ReLU: the input is of type (list|NoneType|float); expected a NumPy array$"):
        nn.ReLU()(x)


def test_sizes_that_are_no_whole_numbers_are_refused(nn):
    for build in (lambda: nn.Linear(2.5, 3), lambda: nn.Conv2d(2.5, 4, 3), lambda: nn.BatchNorm2d(2.5)):
        with pytest.raises(TypeError, match=r"is 2\.5; expected a whole number$"):
            build()
