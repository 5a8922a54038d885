"""A map of what a network makes of images: the last hidden layer, in two dimensions."""

import numpy as np

from chainrule.visualization.probes import probe

__all__ = ["embed", "hidden_features"]

BATCH = 100


def hidden_features(module, x):
    """What enters the last layer with weights: (N, D), of maps the mean over their places.

    Parameters
    ----------
    module : network of chainrule.nn or torch.nn
    x : (N, ...), normalized

    Raises
    ------
    ValueError
        The network has one layer with weights only: nothing is hidden.
    """
    looked = probe(module)
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in looked.parameters()))
    if len(layers) < 2:
        raise ValueError("the network has no hidden layer: what enters its only layer with weights is the image")
    order = list(looked.layers(x[:1]))
    before = order[order.index(layers[-1]) - 1]
    parts = [looked.layers(x[start : start + BATCH], [before])[before].out for start in range(0, len(x), BATCH)]
    features = np.concatenate(parts)
    return features.mean(axis=(2, 3)) if features.ndim == 4 else features.reshape(len(features), -1)


def embed(features, *, method: str = "tsne", seed: int = 0):
    """Features (N, D) as points of a plane, (N, 2).

    Parameters
    ----------
    method : "tsne" (van der Maaten & Hinton 2008), which keeps neighbours together (distances between groups mean little), or "pca", the
        two directions of greatest variance
    seed : of t-SNE
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    if len(features) < 3:
        raise ValueError(f"an embedding of {len(features)} images shows nothing; give at least 3")
    if method == "pca":
        return PCA(2).fit_transform(features)
    if method != "tsne":
        raise ValueError(f"method is {method!r}; it must be tsne or pca")
    return TSNE(perplexity=min(30.0, (len(features) - 1) / 3), init="pca", random_state=seed).fit_transform(features)
