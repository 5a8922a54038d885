"""ONNX files: what onnxruntime computes from pixels is what the hand-written layers compute from normalized images."""

import json

import numpy as np
import pytest

from chainrule import nn
from chainrule.data import Dataset
from chainrule.export import write_network
from chainrule.models import MODELS

onnx = pytest.importorskip("onnx", reason="onnx writes the files")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime reads them")

CLASSES = 5


def dataset(shape):
    rng = np.random.default_rng(1)
    parts = [(rng.integers(0, 256, (n, *shape), dtype=np.uint8), np.arange(n) % CLASSES) for n in (30, 10, 10)]
    return Dataset.from_arrays("random", train=parts[0], val=parts[1], test=parts[2])


def assert_same_scores(network, data, path, images=7):
    """From the file, for any number of images, in one run and one by one."""
    for parameter in network.parameters():
        parameter.data[...] += 0.05 * np.random.default_rng(parameter.size).standard_normal(parameter.shape)  # no 1s and 0s of a norm
    network(data.normalize(data.train.images))  # running statistics that are not those of the beginning
    write_network(network, data, path, "onnx", {"made by": "a test"})
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    pixels = data.test.images[:images]
    (scores,) = session.run(None, {"pixels": pixels.astype(np.float32)})
    expected = network.eval()(data.normalize(pixels))
    assert scores.shape == expected.shape
    # float32; sums of some thousands of products through a few layers
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    (first,) = session.run(None, {"pixels": pixels[:1].astype(np.float32)})
    np.testing.assert_allclose(first, scores[:1], rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    return session


@pytest.mark.parametrize("name", MODELS)
def test_every_model(name, tmp_path):
    image = (3, 32, 32) if name in ("speedrun", "squeezenet") else (2, 16, 12)
    network = MODELS[name](nn, image, CLASSES).reset_parameters(np.random.default_rng(0))
    assert_same_scores(network, dataset(image), tmp_path / "model.onnx")


@pytest.mark.parametrize(
    "layers",
    [
        (nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=2, bias=False),),
        (nn.Conv2d(4, 4, 3, padding="same", groups=4), nn.LeakyReLU(0.2)),
        (nn.Conv2d(4, 3, (2, 4), padding="same"), nn.Sigmoid()),
        (nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2), nn.Tanh()),
        (nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True),),
        (nn.MaxPool2d((2, 3), dilation=(2, 1)),),
        (nn.AvgPool2d(3, stride=2, padding=1),),
        (nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False),),
        (nn.AvgPool2d(2, ceil_mode=True),),
        (nn.AdaptiveAvgPool2d((3, None)),),
        (nn.AdaptiveAvgPool2d((5, 4)),),
        (nn.GroupNorm(2, 4), nn.GELU()),
        (nn.GroupNorm(1, 4, affine=False), nn.GELU("tanh")),
        (nn.BatchNorm2d(4), nn.ReLU()),
        (nn.BatchNorm2d(4, affine=False), nn.Dropout2d(0.3)),
        (nn.LayerNorm((9, 8)), nn.Dropout(0.2)),
        (nn.LayerNorm(8, bias=False), nn.Scale(0.3)),
        (nn.Linear(8, 3), nn.Flatten(2)),
        (nn.Upsample(scale_factor=2), nn.Identity()),
        (nn.Residual(nn.Conv2d(4, 4, 3, padding=1)),),
        (nn.Concat(nn.Conv2d(4, 2, 1), nn.MaxPool2d(1), dim=1),),
        (nn.Flatten(), nn.BatchNorm1d(4 * 72)),
    ],
    ids=lambda layers: " ".join(repr(layer).partition("\n")[0] for layer in layers),
)
def test_every_layer(layers, tmp_path):
    image = (4, 9, 8)
    body = nn.Sequential(*layers)
    width = body(np.zeros((2, *image), np.float32)).reshape(2, -1).shape[1]
    assert_same_scores(nn.Sequential(*layers, nn.Flatten(), nn.Linear(width, CLASSES)), dataset(image), tmp_path / "model.onnx")


def test_the_file_says_what_its_scores_mean(tmp_path):
    data = dataset((2, 4, 4))
    session = assert_same_scores(MODELS["two-layer"](nn, (2, 4, 4), CLASSES), data, tmp_path / "model.onnx")
    notes = session.get_modelmeta().custom_metadata_map
    assert json.loads(notes["classes"]) == list(data.classes)
    assert notes["made by"] == "a test"


class Own(nn.Module):
    def forward(self, x):
        return x


@pytest.mark.parametrize("layer", [Own(), nn.BatchNorm2d(2, track_running_stats=False)], ids=repr)
def test_a_layer_without_operators_is_refused(layer, tmp_path):
    network = nn.Sequential(layer, nn.Flatten(), nn.Linear(32, CLASSES))
    with pytest.raises(ValueError, match=rf"^{type(layer).__name__}\(.*has no operators in ONNX here"):
        write_network(network, dataset((2, 4, 4)), tmp_path / "model.onnx", "onnx")
    assert not list(tmp_path.iterdir())
