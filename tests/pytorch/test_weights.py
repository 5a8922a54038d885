import numpy as np
import pytest
import torch

from chainrule import nn
from chainrule.models import fully_connected, speedrun
from chainrule.pytorch import copy_weights, to_arrays, to_tensors
from chainrule.pytorch import nn as torch_nn


def network(library):
    return fully_connected(library, (1, 3, 4), 5, hidden_dims=(7, 6), normalization="batch")


def assert_same_state(first, second):
    for (name, array), other in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        np.testing.assert_array_equal(np.asarray(array), np.asarray(other), err_msg=name, strict=True)


@pytest.mark.parametrize(("source", "target"), [(nn, torch_nn), (torch_nn, nn), (nn, nn), (torch_nn, torch_nn)])
def test_weights_and_statistics_are_copied_in_any_direction(source, target):
    first, second = network(source), network(target)
    x = np.random.default_rng(0).standard_normal((4, 1, 3, 4), np.float32)
    first(x if source is nn else torch.from_numpy(x))  # moves the running statistics
    copy_weights(first, second)
    assert_same_state(first, second)


def test_nothing_is_shared_afterwards():
    ours, twin = network(nn), network(torch_nn)
    copy_weights(ours, twin)
    before = {name: array.copy() for name, array in ours.state_dict().items()}
    with torch.no_grad():
        for tensor in twin.state_dict().values():
            tensor += 1
    for name, array in ours.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize(("source", "target"), [(nn, torch_nn), (torch_nn, nn)], ids=["to torch", "from torch"])
def test_weights_of_convolutions_are_copied_whatever_their_memory_order_and_what_is_frozen_stays_so(source, target):
    image = (3, 25, 26)
    first, second = speedrun(source, image, 4, widths=(5, 6, 7)), speedrun(target, image, 4, widths=(5, 6, 7))
    frozen = [not parameter.requires_grad for parameter in second.parameters()]
    assert sum(frozen) == 7  # the whitening filters, and the scales of six norms
    copy_weights(first, second)
    assert_same_state(first, second)
    assert [not parameter.requires_grad for parameter in second.parameters()] == frozen


@pytest.mark.parametrize(("source", "target"), [(nn, torch_nn), (torch_nn, nn)], ids=["to torch", "from torch"])
def test_another_architecture_is_refused(source, target):
    with pytest.raises((ValueError, RuntimeError), match=r"1\.weight|1\.bias"):
        copy_weights(network(source), fully_connected(target, (1, 3, 4), 5, hidden_dims=(8, 6), normalization="batch"))


LAYOUTS = {
    "transposed": lambda x: x.T,
    "strided": lambda x: x[::2, ::3],
    "reversed": lambda x: x[::-1, ::-1],
    "Fortran": np.asfortranarray,
    "0-d": lambda x: x[0, 0].reshape(()),
    "empty": lambda x: x[:0],
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_arrays_of_every_layout_go_there_and_back_unchanged(layout, dtype):
    array = layout(np.arange(24).reshape(4, 6).astype(dtype))
    tensors = to_tensors({"a": array})
    back = to_arrays(tensors)["a"]
    np.testing.assert_array_equal(back, array, strict=True)
    assert not np.shares_memory(tensors["a"].numpy(), array) and not np.shares_memory(back, tensors["a"].numpy())


def test_tensors_that_require_gradients_become_arrays():
    np.testing.assert_array_equal(to_arrays({"w": torch.nn.Parameter(torch.ones(3))})["w"], np.ones(3, np.float32), strict=True)
