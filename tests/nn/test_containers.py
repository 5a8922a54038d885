import numpy as np
import pytest
import torch

from chainrule import nn as library
from chainrule.pytorch import nn as torch_nn


def nested(nn):
    return nn.Sequential(
        nn.Linear(6, 5),
        nn.Residual(nn.Sequential(nn.Linear(5, 5), nn.Tanh())),
        nn.Concat(nn.Linear(5, 2), nn.Residual(nn.Sequential(nn.Sigmoid(), nn.Linear(5, 3)), nn.Linear(5, 3)), nn.Identity()),
        nn.Flatten(),
        nn.Linear(10, 4, bias=False),
    )


@pytest.mark.parametrize("rows", [7, 1])
def test_nested_containers_have_torchs_outputs_and_gradients(nn, assert_like_torch, rng, rows):
    module = nested(nn).double().reset_parameters(rng)
    assert_like_torch(module, nested(torch_nn).double(), rng.standard_normal((rows, 6)))


def test_text_of_nested_containers_is_torchs():
    assert repr(nested(library)) == repr(nested(torch_nn))
    assert repr(library.Sequential()) == repr(torch.nn.Sequential())


def test_the_gradient_of_a_residual_is_the_sum_of_both_ways(nn, rng):
    dout = rng.standard_normal((3, 4))
    body = nn.Tanh()
    residual = nn.Residual(body)
    residual(rng.standard_normal((3, 4)))
    np.testing.assert_array_equal(residual.backward(dout), body.backward(dout) + dout)


@pytest.mark.parametrize("dim", [0, 1, 2, -1])
def test_concat_joins_and_splits_along_any_axis(nn, assert_like_torch, rng, dim):
    x = rng.standard_normal((3, 4, 5))
    assert_like_torch(nn.Concat(nn.Tanh(), nn.Identity(), nn.Sigmoid(), dim=dim), torch_nn.Concat(*make_branches(torch_nn), dim=dim), x)


def make_branches(nn):
    return nn.Tanh(), nn.Identity(), nn.Sigmoid()


def test_concat_of_one_branch_is_the_branch(nn, rng):
    x = rng.standard_normal((3, 4))
    concat = nn.Concat(nn.Identity())
    np.testing.assert_array_equal(concat(x), x)
    np.testing.assert_array_equal(concat.backward(x), x)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 6), (2, 1, 1), (0, 3, 4), (2, 0, 4)], ids=str)
@pytest.mark.parametrize("axes", [(1, -1), (0, -1), (0, 1), (-2, -1), (1, 1)], ids=str)
def test_flatten_is_torchs(nn, assert_like_torch, rng, shape, axes):
    assert_like_torch(nn.Flatten(*axes), torch.nn.Flatten(*axes), rng.standard_normal(shape))


def test_flatten_takes_any_memory_layout(nn, assert_like_torch, rng):
    assert_like_torch(nn.Flatten(), torch.nn.Flatten(), rng.standard_normal((4, 6, 5))[::-1, ::2].transpose(2, 1, 0))


@pytest.mark.parametrize(
    ("axes", "shape"), [((1, -1), (5,)), ((1, -1), ()), ((2, 1), (2, 3, 4)), ((1, 3), (2, 3)), ((-3, -1), (2, 3))], ids=str
)
def test_flatten_refuses_axes_that_are_not_there(nn, axes, shape):
    with pytest.raises(ValueError) as caught:
        nn.Flatten(*axes)(np.zeros(shape))
    assert str(caught.value) == f"Flatten: x has shape {shape}, which has no axes {axes[0]} to {axes[1]}; is the batch axis missing?"


def test_flatten_refuses_a_dout_of_another_shape(nn):
    flatten = nn.Flatten()
    flatten(np.zeros((2, 3, 4)))
    with pytest.raises(ValueError, match=r"^Flatten: dout has shape \(12, 2\); expected \(2, 12\), like the output$"):
        flatten.backward(np.zeros((12, 2)))


def test_a_sequential_is_a_sequence():
    layers = [library.Linear(3, 4), library.ReLU(), library.Linear(4, 2)]
    network = library.Sequential(*layers)
    assert len(network) == 3 and list(network) == layers and network[-1] is layers[-1]
    assert isinstance(network[1:], library.Sequential) and list(network[1:]) == layers[1:]


def test_an_empty_sequential_passes_on(nn, rng):
    x = rng.standard_normal((2, 3))
    assert nn.Sequential()(x) is x and nn.Sequential().backward(x) is x


def test_an_error_says_which_layer_of_which_network():
    inner = library.Sequential(library.ReLU(), library.Linear(4, 2))
    network = library.Sequential(library.Linear(3, 5), library.Residual(inner), library.Identity())
    with pytest.raises(ValueError, match=r"^Linear: x has shape \(2, 5\); expected \(N, 4\)\n") as caught:
        network(np.zeros((2, 3), np.float32))
    assert caught.value.__notes__ == [
        "in layer 2 of 2, (1): Linear(in_features=4, out_features=2, bias=True)",
        "in layer 2 of 3, (1): Residual(...)",
    ]


def test_an_error_in_the_backward_pass_says_which_layer(nn):
    network = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 2))
    network(np.zeros((4, 3), np.float32))
    with pytest.raises(ValueError, match=r"^Linear: dout has shape \(4, 3\)") as caught:
        network.backward(np.zeros((4, 3), np.float32))
    assert caught.value.__notes__ == ["in layer 2 of 2, (1): Linear(in_features=5, out_features=2, bias=True)"]


def test_backward_before_forward_is_refused(nn):
    with pytest.raises(RuntimeError, match=r"^Tanh: backward was called before forward\nin layer 2 of 2, \(1\): Tanh\(\)$"):
        nn.Sequential(nn.Linear(3, 5), nn.Tanh()).backward(np.zeros((4, 5)))
    for module in (nn.Flatten(), nn.Concat(nn.Identity())):
        with pytest.raises(RuntimeError, match=r": backward was called before forward$"):
            module.backward(np.zeros((4, 5)))


def test_a_module_at_two_places_is_refused():
    relu = library.ReLU()
    with pytest.raises(ValueError, match=r"^Sequential: \(0\) and \(1\.1\) are the same ReLU object; .* make one object for each place$"):
        library.Sequential(relu, library.Sequential(library.Tanh(), relu))
    with pytest.raises(ValueError, match=r"^Residual: \(body\) and \(shortcut\) are the same ReLU object"):
        library.Residual(relu, relu)
    with pytest.raises(ValueError, match=r"^Concat: \(0\) and \(2\) are the same ReLU object"):
        library.Concat(relu, library.Tanh(), relu)


def test_a_residual_refuses_shapes_that_would_broadcast(nn):
    with pytest.raises(ValueError, match=r"^Residual: the body gives shape \(4, 1\), the shortcut \(4, 3\); they must be the same$"):
        nn.Residual(nn.Linear(3, 1))(np.zeros((4, 3), np.float32))


def test_concat_without_branches_is_refused():
    with pytest.raises(ValueError, match=r"^Concat: no branches were given; it needs at least one$"):
        library.Concat()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda nn: nn.Sequential(nn.ReLU(), 3), "Sequential: layer 2 of 2 is of type int; expected a Module"),
        (lambda nn: nn.Sequential(lambda x: x), "Sequential: layer 1 of 1 is of type function; expected a Module"),
        (lambda nn: nn.Sequential(nn.ReLU), "Sequential: layer 1 of 1 is the class ReLU; expected an object of it: ReLU(...)"),
        (
            lambda nn: nn.Sequential([nn.ReLU()]),
            "Sequential: layer 1 of 1 is of type list; expected a Module; give the layers one by one: Sequential(*layers)",
        ),
        (lambda nn: nn.Residual(abs), "Residual: the body is of type builtin_function_or_method; expected a Module"),
        (lambda nn: nn.Residual(nn.ReLU(), 1), "Residual: the shortcut is of type int; expected a Module"),
        (lambda nn: nn.Concat(nn.ReLU(), dict), "Concat: branch 2 of 2 is the class dict; expected a Module"),
    ],
)
def test_what_is_no_module_is_refused_with_its_place(nn, make, message):
    with pytest.raises(TypeError) as caught:
        make(nn)
    assert str(caught.value) == message


def test_a_backward_that_returns_none_is_refused_with_the_layer(nn):
    class Forgets(nn.ReLU):
        def backward(self, dout):
            super().backward(dout)

    network = nn.Sequential(nn.Linear(3, 5), Forgets(), nn.Tanh())
    network(np.zeros((4, 3), np.float32))
    with pytest.raises(TypeError, match=r"^Forgets: backward returned None; expected dx, the gradient of its input\n") as caught:
        network.backward(np.zeros((4, 5), np.float32))
    assert caught.value.__notes__ == ["in layer 2 of 3, (1): Forgets()"]


def fire(nn):
    squeeze, left, right = nn.Linear(6, 3), nn.Linear(3, 2), nn.Linear(3, 4)
    return nn.Named(nn.Sequential(squeeze, nn.Concat(left, right)), squeeze=squeeze, left=left, right=right)


def test_named_parts_have_names_of_their_own_and_torchs_outputs_and_gradients(nn, assert_like_torch, rng):
    module = fire(nn).double().reset_parameters(rng)
    assert list(module.state_dict()) == [f"{part}.{kind}" for part in ("squeeze", "left", "right") for kind in ("weight", "bias")]
    assert_like_torch(module, fire(torch_nn).double(), rng.standard_normal((5, 6)))
    assert repr(module) == repr(fire(torch_nn))


def test_a_layer_of_the_path_without_a_name_is_refused():
    with pytest.raises(
        ValueError, match="Named: a ReLU of the path has no name; the parts must hold every layer of the path, and no other"
    ):
        library.Named(library.Sequential(layer := library.Linear(2, 3), library.ReLU()), layer=layer)


def test_a_named_part_that_the_path_does_not_use_is_refused():
    layer = library.Linear(2, 3)
    with pytest.raises(ValueError, match="Named: a Tanh is not used by the path"):
        library.Named(library.Sequential(layer), layer=layer, other=library.Tanh())
