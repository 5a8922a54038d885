import numpy as np
import pytest

from chainrule import nn
from chainrule.visualization import Network, feature_maps, find_layer, first_layer


@pytest.fixture
def small(network):
    return Network("small", network.eval(), tuple("abcdefg"), (3, 13, 12), 255.0, (0.5,) * 3, (0.2,) * 3)


@pytest.fixture
def flat(rng):
    module = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 2)).reset_parameters(rng).eval()
    return Network("flat", module, ("a", "b"), (3, 2, 2), 255.0, (0.5,) * 3, (0.2,) * 3)


@pytest.mark.parametrize(
    ("text", "name"), [("4", "4"), ("4.squeeze", "4.squeeze"), ("squeeze", "4.squeeze"), ("0", "0"), ("body", "6.body")]
)
def test_a_layer_is_found_by_its_name_or_the_end_of_it(small, text, name):
    assert find_layer(small, text) == name


def test_a_layer_that_is_not_there_is_refused_with_those_like_it(small):
    with pytest.raises(ValueError, match=r"small has no layer 'squeese'; its \d+ layers go from 0 to 11; did you mean 4\.squeeze.*\?$"):
        find_layer(small, "squeese")


def test_a_name_that_fits_several_layers_equally_far_out_is_refused_with_all_of_them(rng):
    parts = [nn.Named(nn.Sequential(layer), squeeze=layer) for layer in (nn.Conv2d(3, 4, 1), nn.Conv2d(4, 5, 1))]
    twice = Network("twice", nn.Sequential(*parts).reset_parameters(rng).eval(), tuple("abcde"), (3, 6, 6), 255.0, (0.5,) * 3, (0.2,) * 3)
    with pytest.raises(ValueError, match=r"'squeeze' fits 2 layers of twice: 0\.squeeze, 1\.squeeze; name one in full"):
        find_layer(twice, "squeeze")
    assert find_layer(twice, "1.squeeze") == "1.squeeze"


def test_a_layer_named_twice_is_shown_once(small, x):
    assert list(feature_maps(small, x[:1], ["0", "squeeze", "4.squeeze", "0"])) == ["0", "4.squeeze"]


def test_without_names_the_activations_are_shown(small, x):
    layers = feature_maps(small, x[:1])
    assert list(layers) == ["2", "4.relu", "5", "7"]
    assert all(layer.out.shape[:1] == (1,) and layer.out.min() >= 0 for layer in layers.values())


def test_layers_are_shown_by_name(small, x):
    assert list(feature_maps(small, x[:1], ["squeeze", "0"])) == ["0", "4.squeeze"]
    with pytest.raises(ValueError, match=r"11 puts out \(1, 7\), no maps \(N, K, h, w\); choose a layer before it"):
        feature_maps(small, x[:1], ["11"])


def test_a_network_that_sees_no_places_has_no_maps(flat):
    with pytest.raises(ValueError, match="flat has no layer that puts out maps"):
        feature_maps(flat, np.zeros((1, 3, 2, 2), np.float32))


def test_the_first_filters_are_pictures(small, flat):
    name, filters = first_layer(small)
    assert (name, filters.shape) == ("0.weight", (8, 3, 3, 3))
    name, filters = first_layer(flat)
    assert (name, filters.shape) == ("1.weight", (5, 3, 2, 2))
    np.testing.assert_array_equal(filters[2].ravel(), flat.module[1].weight.data[2])
