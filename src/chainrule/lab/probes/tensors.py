"""Probes of level 1 of PyTorch, functions of tensors. torch is imported when a probe runs: the other labs do without it."""

from collections.abc import Sequence

import numpy as np

from chainrule.lab.probing import Probe, results

__all__ = ["PROBES", "SMALL", "draws", "returned_loss", "rounded_std", "scores_and_gradients", "tensor"]


def tensor(array, *, learned=False, dtype="float32"):
    """The array as a tensor of that dtype; with `learned` one that requires its gradient."""
    import torch

    return torch.tensor(array, dtype=getattr(torch, dtype)).requires_grad_(learned)


def scores_and_gradients(function: str, scores, dscores, inputs: Sequence, names: Sequence[str]):
    """The scores, and by name the gradients of sum(scores * dscores) with respect to the inputs; None where autograd has none."""
    import torch

    observed = results(function, scores, "scores")
    if not isinstance(scores, torch.Tensor) or not scores.requires_grad or scores.shape != dscores.shape:
        return observed | dict.fromkeys(names)
    return observed | dict(zip(names, torch.autograd.grad((scores * dscores).sum(), inputs, allow_unused=True), strict=True))


def draws(shapes, seed=0, scale=1.0):
    """float32 arrays of those shapes, from a normal distribution."""
    rng = np.random.default_rng(seed)
    return [(scale * rng.standard_normal(shape)).astype(np.float32) for shape in shapes]


def network(name, x, params, names, seed=9):
    """Scores and gradients of the parameters, for one of the two networks."""

    def observed(functions):
        learned = [tensor(value, learned=True) for value in params]
        scores = getattr(functions, name)(tensor(x), learned)
        dscores = tensor(draws([(len(x), params[-1].shape[-1])], seed)[0])
        return scores_and_gradients(name, scores, dscores, learned, names)

    return observed


def two_layer(shape, H, C, seed=0):
    x, w1, w2 = draws([shape, (int(np.prod(shape[1:])), H), (H, C)], seed)
    return network("two_layer_fc", 1 + x, [w1, w2], ("dw1", "dw2"))


SMALL = [[1.0, -2.0], [2.0, 1.0]], [np.array([[1.0, -1.0, 2.0], [3.0, 1.0, 0.0]]), np.array([[1.0, -2.0], [2.0, 0.0], [-1.0, 3.0]])]


def convnet(N, H, W, F1, F2, C, seed=0):
    shapes = [(N, 3, H, W), (F1, 3, 5, 5), (F1,), (F2, F1, 3, 3), (F2,), (F2 * H * W, C), (C,)]
    x, *params = draws(shapes, seed)
    return network("three_layer_convnet", x, params, ("dconv_w1", "dconv_b1", "dconv_w2", "dconv_b2", "dfc_w", "dfc_b"))


def rounded_std(weight):
    """The standard deviation of a tensor or an array, to the nearest quarter of a power of two: what chance adds is far less."""
    std = float((weight.detach() if hasattr(weight, "detach") else weight).std())
    return 2 ** (round(4 * np.log2(std)) / 4) if std > 0 else 0.0


def drawn(shape):
    """What is sure of a weight that is drawn by chance."""

    def observed(functions):
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            weight, another = functions.random_weight(shape), functions.random_weight(shape)
        values = weight.detach()
        return {
            "shape": np.array(values.shape),
            "requires_grad": bool(weight.requires_grad),
            "is_leaf": bool(weight.is_leaf),
            "std": rounded_std(weight),
            "mean / std": abs(round(float(values.mean() / (values.std() + 1e-12)))),
            "has values beyond 2.5 std": bool((values.abs() > 2.5 * values.std()).any()),
            "differs from call to call": not torch.equal(weight, another),
        }

    return observed


def from_a_generator(functions):
    import torch

    def draw(seed):
        return functions.random_weight((6, 5), generator=torch.Generator().manual_seed(seed)).detach()

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        first, again, other = draw(1), draw(1), draw(2)
    return {"same from the same seed": torch.equal(first, again), "same from another seed": torch.equal(first, other)}


def drawn_in_float64(functions):
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        weight = functions.random_weight((4, 3), dtype=torch.float64)
    return {"is float64": weight.dtype == torch.float64, "requires_grad": bool(weight.requires_grad), "is_leaf": bool(weight.is_leaf)}


def zeros(shape, dtype=None):
    def observed(functions):
        import torch

        weight = functions.zero_weight(shape) if dtype is None else functions.zero_weight(shape, dtype=getattr(torch, dtype))
        return {
            "weight": weight,
            "requires_grad": bool(weight.requires_grad),
            "is_leaf": bool(weight.is_leaf),
            "is float64": weight.dtype == torch.float64,
        }

    return observed


def returned_loss(function, result):
    """The loss that a step gave back, a number or a tensor of one, as float32."""
    (loss,) = results(function, result, "loss").values()
    return None if loss is None else np.float32(loss.detach().numpy() if hasattr(loss, "detach") else loss)


def steps(x, params, labels, learning_rate, count=1):
    """The parameters after so many steps on one batch, and the losses before each."""

    def observed(functions):
        import torch

        learned = [tensor(value, learned=True) for value in params]
        given = list(learned)

        def forward(x, params):
            w1, w2 = params
            return (x @ w1).tanh() @ w2

        losses = [functions.sgd_step(forward, given, tensor(x), torch.tensor(labels), learning_rate) for _ in range(count)]
        return {
            **{f"loss {number}": returned_loss("sgd_step", loss) for number, loss in enumerate(losses, 1)},
            **{f"w{number}": value for number, value in enumerate(learned, 1)},
            "the same tensors": all(new is old for new, old in zip(given, learned, strict=True)),
            "require gradients": all(value.requires_grad for value in given),
        }

    return observed


def sgd(N, D, H, C, learning_rate, count=1, seed=0):
    x, w1, w2 = draws([(N, D), (D, H), (H, C)], seed)
    return steps(x, [w1, w2], [row % C for row in range(N)], learning_rate, count)


PROBES = {
    "two_layer_fc": (
        Probe("2 samples of 2 features", network("two_layer_fc", np.array(SMALL[0]), SMALL[1], ("dw1", "dw2")), {"N": 2, "D": 2}),
        Probe("5 samples of 4 features", two_layer((5, 4), 7, 3), {"N": 5, "D": 4}),
        Probe("one sample", two_layer((1, 4), 6, 3, 1), {"N": 1, "D": 4}, "for a single sample", "broadcasting"),
        Probe(
            "images (3, 2, 4)", two_layer((2, 3, 2, 4), 5, 3, 2), {"N": 2, "D": 24}, "for images, which have more than one axis", "shape"
        ),
    ),
    "three_layer_convnet": (
        Probe("2 images of 4 x 3", convnet(2, 4, 3, 2, 3, 4), {"N": 2}),
        Probe("3 images of 5 x 6", convnet(3, 5, 6, 4, 2, 3, 1), {"N": 3}),
        Probe("one image of 6 x 6", convnet(1, 6, 6, 3, 4, 2, 2), {"N": 1}, "for a single image", "broadcasting"),
    ),
    "random_weight": (
        Probe("of an affine layer, (32, 128)", drawn((32, 128)), {"D": 32, "M": 128}),
        Probe("of a convolution, (128, 2, 4, 4)", drawn((128, 2, 4, 4)), {"F": 128, "C": 2}, "for convolutions", "wrong-statistic"),
        Probe("of a convolution, (32, 8, 4, 4)", drawn((32, 8, 4, 4)), {"F": 32, "C": 8}, "for convolutions", "wrong-statistic"),
        Probe("with a generator", from_a_generator, {}, "with a generator", "state"),
        Probe("in float64", drawn_in_float64, {}, "in float64", "dtype"),
    ),
    "zero_weight": (
        Probe("3 numbers", zeros((3,))),
        Probe("2 x 4", zeros((2, 4))),
        Probe("in float64", zeros((3,), "float64"), {}, "in float64", "dtype"),
    ),
    "sgd_step": (
        Probe(
            "2 samples, 2 features, learning rate 1",
            steps(SMALL[0], [np.eye(2), np.array([[1.0, 0.0], [0.0, 2.0]])], [0, 1], 1.0),
            {"N": 2},
        ),
        Probe("5 samples, learning rate 0.1", sgd(5, 4, 3, 6, 0.1), {"N": 5}),
        Probe("3 steps, one after the other", sgd(4, 3, 5, 2, 0.5, 3, 1), {"N": 4}, "from the second step on", "state"),
        Probe("one sample", sgd(1, 3, 2, 4, 0.2, 1, 2), {"N": 1}),
    ),
}
