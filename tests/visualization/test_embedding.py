import numpy as np
import pytest

from chainrule import nn
from chainrule.visualization import embed, hidden_features, probe


def test_hidden_features_are_what_the_last_affine_layer_multiplies(either, x):
    features = hidden_features(either, x)
    parameters = probe(either).parameters()
    np.testing.assert_allclose(features @ parameters["11.weight"].T + parameters["11.bias"], probe(either).scores(x), rtol=1e-12)


def test_of_maps_the_mean_is_taken(rng):
    network = nn.Sequential(nn.Conv2d(1, 3, 1), nn.ReLU(), nn.Conv2d(3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()).double()
    x = rng.standard_normal((150, 1, 4, 4))  # more than go through at once
    expected = np.maximum(network[0](x), 0).mean(axis=(2, 3))
    np.testing.assert_allclose(hidden_features(network, x), expected, rtol=1e-12)


def test_a_network_without_a_hidden_layer_is_refused(rng):
    with pytest.raises(ValueError, match="no hidden layer"):
        hidden_features(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), rng.standard_normal((3, 1, 2, 2)))


@pytest.mark.parametrize("method", ["tsne", "pca"])
def test_two_groups_stay_apart_and_a_seed_gives_the_same_map(method, rng):
    features = np.concatenate([rng.standard_normal((20, 10)), 30 + rng.standard_normal((20, 10))])
    points = embed(features, method=method, seed=1)
    assert points.shape == (40, 2)
    middles = points[:20].mean(axis=0), points[20:].mean(axis=0)
    nearest = np.array([np.linalg.norm(points - middle, axis=1) for middle in middles]).argmin(axis=0)
    np.testing.assert_array_equal(nearest, np.repeat([0, 1], 20))
    np.testing.assert_array_equal(points, embed(features, method=method, seed=1))


def test_what_cannot_be_embedded_is_refused(rng):
    with pytest.raises(ValueError, match="an embedding of 2 images shows nothing; give at least 3"):
        embed(rng.standard_normal((2, 5)))
    with pytest.raises(ValueError, match="method is 'umap'; it must be tsne or pca"):
        embed(rng.standard_normal((9, 5)), method="umap")
