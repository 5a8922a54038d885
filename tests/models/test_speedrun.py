import numpy as np
import pytest
import torch

from chainrule import nn
from chainrule.models import speedrun
from chainrule.nn import REFERENCE, namespace
from chainrule.pytorch import copy_weights
from chainrule.pytorch import nn as torch_nn

CASES = [((3, 25, 25), {"widths": (5, 7, 6)}), ((1, 8, 9), {"widths": (5,)}), ((2, 14, 19), {"widths": (5, 6)})]
EVERY_FORM = pytest.mark.parametrize(("image", "options"), CASES, ids=str)


@EVERY_FORM
def test_keys_shapes_and_text_are_the_torch_twins(assert_same_text_and_state, image, options):
    assert_same_text_and_state(speedrun, image, 4, options)


@EVERY_FORM
@pytest.mark.parametrize("training", [True, False], ids=["training", "eval"])
@pytest.mark.parametrize("library", [nn, namespace(REFERENCE)], ids=["kernels", "reference"])
def test_loss_scores_and_every_gradient_are_the_torch_twins(assert_same_numbers, image, options, training, library):
    assert_same_numbers(speedrun, image, 4, options, library, training)


def test_it_computes_what_airbench_does():
    """The network of airbench94_muon.py, written out with torch's functions: ConvGroup is conv, pool, norm, gelu, conv, norm, gelu."""
    network = speedrun(torch_nn, classes=5, widths=(6, 8, 9)).double()
    weights = [parameter.detach() for parameter in network.parameters()]
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((4, 3, 32, 32)))

    functional, remaining = torch.nn.functional, iter(weights)
    take = lambda: next(remaining)  # noqa: E731
    norm = lambda x: functional.batch_norm(x, None, None, take(), take(), training=True, eps=1e-12)  # noqa: E731
    out = functional.gelu(functional.conv2d(x, take(), take()))
    for _ in range(3):
        out = functional.gelu(norm(functional.max_pool2d(functional.conv2d(out, take(), padding="same"), 2)))
        out = functional.gelu(norm(functional.conv2d(out, take(), padding="same")))
    out = functional.max_pool2d(out, 3).flatten(1)
    expected = out @ take().T / out.shape[1]

    torch.testing.assert_close(network(x), expected, rtol=1e-10, atol=1e-12)  # the same functions, 13 layers in float64
    ours = speedrun(nn, classes=5, widths=(6, 8, 9)).double()
    copy_weights(network, ours)
    np.testing.assert_allclose(ours(x.numpy()), expected.numpy(), rtol=1e-9, atol=1e-11)


def test_it_has_the_size_of_airbench94():
    network = speedrun(nn)
    convolutions = 9 * (24 * 64 + 64 * 64 + 64 * 256 + 3 * 256 * 256)
    whitening, head, norms = 24 * 12 + 24, 256 * 10, 2 * (64 + 64 + 4 * 256)
    count = sum(parameter.size for parameter in network.parameters())
    assert count == whitening + convolutions + head + norms
    assert count == 1_972_792


def test_the_whitening_filters_and_the_scales_of_norms_are_frozen():
    network = speedrun(nn, widths=(5, 6, 7))
    frozen = [name for name, parameter in network.named_parameters() if not parameter.requires_grad]
    norms = [name for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)]
    assert frozen == ["0.weight", *(f"{name}.weight" for name in norms)]
    assert len(norms) == 6


@pytest.mark.parametrize(("image", "least"), [((3, 24, 32), 25), ((1, 8, 8), 25)], ids=str)
def test_images_too_small_for_so_many_blocks_are_refused(image, least):
    with pytest.raises(ValueError) as caught:
        speedrun(nn, image)
    assert str(caught.value) == (
        f"speedrun: images of {image[1]} x {image[2]} are too small for 3 blocks, each of which halves them, and a last 3 x 3 pooling; "
        f"they must be at least {least} x {least}: give fewer widths"
    )
    assert speedrun(nn, (1, least, least), widths=(4, 4, 4)).eval()(np.zeros((1, 1, least, least), np.float32)).shape == (1, 10)
