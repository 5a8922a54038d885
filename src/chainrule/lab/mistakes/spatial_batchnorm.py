"""Mistakes in spatial batch normalization: with the axes of the images, and those of batch normalization itself."""

import numpy as np

from chainrule.functional import batchnorm_forward, spatial_batchnorm_backward, spatial_batchnorm_forward
from chainrule.lab.mistake import Mistake
from chainrule.lab.mistakes import batchnorm

__all__ = ["MISTAKES"]


def pixels(images):
    """Images (N, C, H, W) as samples (N * H * W, C)."""
    return images.transpose(0, 2, 3, 1).reshape(-1, images.shape[1])


def images(pixels, shape):
    N, C, H, W = shape
    return pixels.reshape(N, H, W, C).transpose(0, 3, 1, 2)


def spatial_forward(wrong):
    """The forward pass, with a wrong batch norm of the pixels."""

    def forward(x, gamma, beta, bn_param):
        out, cache = wrong(pixels(x), gamma, beta, bn_param)
        return images(out, x.shape), (x.shape, cache)

    return forward


def spatial_backward(wrong):
    """The backward pass, with a wrong one of the pixels."""

    def backward(dout, cache):
        shape, bn_cache = cache
        dx, dgamma, dbeta = wrong(pixels(dout), bn_cache)
        return images(dx, shape), dgamma, dbeta

    return backward


def over(axes):
    """The forward pass with statistics over other axes."""

    def forward(x, gamma, beta, bn_param):
        kept = {"mean": x.mean(axis=axes), "var": x.var(axis=axes)}
        mean, var = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
        if bn_param["mode"] == "train":
            for name, value in kept.items():
                past = bn_param.get(f"running_{name}", np.zeros_like(value))
                momentum = bn_param.get("momentum", 0.9)
                bn_param[f"running_{name}"] = momentum * past + (1 - momentum) * value if past.shape == value.shape else value
        else:
            shape = mean.shape if bn_param["running_mean"].size == mean.size else (1, -1, 1, 1)
            mean, var = bn_param["running_mean"].reshape(shape), bn_param["running_var"].reshape(shape)
        x_hat = (x - mean) / np.sqrt(var + bn_param.get("eps", 1e-5))
        return gamma[:, None, None] * x_hat + beta[:, None, None], None

    return forward


def reshaped_without_transposing(x, gamma, beta, bn_param):
    out, cache = spatial_batchnorm_forward(x.reshape(-1, x.shape[1], 1, 1), gamma, beta, bn_param)
    return out.reshape(x.shape), cache


def channels_split_first(x, gamma, beta, bn_param):
    out, cache = spatial_batchnorm_forward(x.reshape(x.shape[1], -1).T[:, :, None, None], gamma, beta, bn_param)
    return out[:, :, 0, 0].T.reshape(x.shape), cache


def not_transposed_back(x, gamma, beta, bn_param):
    out, cache = spatial_batchnorm_forward(x, gamma, beta, bn_param)
    return pixels(out).reshape(x.shape), cache


def channels_last(x, gamma, beta, bn_param):
    out, cache = spatial_batchnorm_forward(x, gamma, beta, bn_param)
    return out.transpose(0, 2, 3, 1), cache


def rows_and_columns_swapped(x, gamma, beta, bn_param):
    """There the columns come first, back the rows."""
    out, cache = batchnorm_forward(x.transpose(0, 3, 2, 1).reshape(-1, x.shape[1]), gamma, beta, bn_param)
    return images(out, x.shape), (x.shape, cache)


def averages_with_kept_axes(x, gamma, beta, bn_param):
    out, cache = spatial_batchnorm_forward(x, gamma, beta, flat := {**bn_param, **flattened(bn_param)})
    bn_param |= {name: flat[name].reshape(1, -1, 1, 1) for name in ("running_mean", "running_var")}
    return out, cache


def flattened(bn_param):
    return {name: bn_param[name].reshape(-1) for name in ("running_mean", "running_var") if name in bn_param}


def one_mean(x, gamma, beta, bn_param):
    """Batch norm of all numbers as one feature."""
    averages = {name: np.full(1, value.mean()) for name, value in flattened(bn_param).items()}
    one = {**bn_param, **averages}
    x_hat, cache = spatial_batchnorm_forward(x.reshape(-1, 1, 1, 1), np.ones(1), np.zeros(1), one)
    bn_param |= {name: one[name].repeat(x.shape[1]) for name in ("running_mean", "running_var")}
    return gamma[:, None, None] * x_hat.reshape(x.shape) + beta[:, None, None], cache


def without_scale_and_shift(x, gamma, beta, bn_param):
    return spatial_batchnorm_forward(x, np.ones_like(gamma), np.zeros_like(beta), bn_param)


def without_beta(x, gamma, beta, bn_param):
    return spatial_batchnorm_forward(x, gamma, np.zeros_like(beta), bn_param)


FORWARD = tuple(
    Mistake("spatial_batchnorm_forward", kind, sentence, hints, code)
    for kind, sentence, hints, code in (
        (
            "transpose",
            "x is reshaped to (N * H * W, C) as it is, which mixes channels and pixels: transpose the channels to the end first",
            ("Which numbers are in the first column of x.reshape(-1, C)?", "x.transpose(0, 2, 3, 1).reshape(-1, C)"),
            reshaped_without_transposing,
        ),
        (
            "transpose",
            "x is reshaped to (C, N * H * W) as it is, which mixes channels and images: transpose the channels to the front first",
            ("Which numbers are in the first row of x.reshape(C, -1)?", "x.transpose(1, 0, 2, 3).reshape(C, -1)"),
            channels_split_first,
        ),
        (
            "transpose",
            "out is reshaped back to (N, C, H, W) without transposing; its order is (N, H, W, C) at that point",
            ("In which order do the rows of the batch norm's output run?", "out.reshape(N, H, W, C).transpose(0, 3, 1, 2)"),
            not_transposed_back,
        ),
        (
            "transpose",
            "rows and columns of the images are swapped on the way there, transpose(0, 3, 2, 1), but not on the way back",
            ("In which order do the pixels of an image run after transpose(0, 3, 2, 1)?", "x.transpose(0, 2, 3, 1).reshape(-1, C)"),
            rows_and_columns_swapped,
        ),
        (
            "transpose",
            "out is (N, H, W, C), the channels last; expected (N, C, H, W)",
            ("Which shape has x?", ".transpose(0, 3, 1, 2)"),
            channels_last,
        ),
        (
            "axis",
            "mean and variance are those of each pixel over the batch; a channel has one mean, over the batch and all its pixels",
            ("How many means are there?", "x.mean(axis=(0, 2, 3)), or the pixels as samples"),
            over((0,)),
        ),
        (
            "axis",
            "mean and variance are those of each image; a channel has one mean, over the whole batch and all its pixels",
            ("How many means are there?", "x.mean(axis=(0, 2, 3)), or the pixels as samples"),
            over((2, 3)),
        ),
        (
            "axis",
            "mean and variance are those of each pixel over its channels; a channel has one mean, over the batch and all its pixels",
            ("How many means are there?", "x.mean(axis=(0, 2, 3)), or the pixels as samples"),
            over((1,)),
        ),
        (
            "axis",
            "all channels have one mean and one variance; each has to have its own, over the batch and all its pixels",
            ("How many means are there?", "x.mean(axis=(0, 2, 3)), or the pixels as samples"),
            one_mean,
        ),
        (
            "shape",
            "the running averages are kept with axes of length 1, (1, C, 1, 1); expected (C,), as the docstring says",
            ("Which shape does the docstring give them?", "Keep x.mean(axis=(0, 2, 3)), and add the axes where you use it."),
            averages_with_kept_axes,
        ),
        (
            "missing-term",
            "gamma and beta are left out: out = gamma * x_hat + beta, channel by channel",
            ("What are gamma and beta for?", "gamma[:, None, None] * x_hat + beta[:, None, None]"),
            without_scale_and_shift,
        ),
        (
            "missing-term",
            "beta is left out: out = gamma * x_hat + beta, channel by channel",
            ("What is the mean of a channel of out?", "+ beta[:, None, None]"),
            without_beta,
        ),
        (
            "wrong-statistic",
            "the variance is the unbiased one, divided by N * H * W - 1; batch norm divides by N * H * W",
            ("By what is the sum of squares divided?", "np.var divides by the number of pixels unless ddof says else."),
            spatial_forward(batchnorm.unbiased_variance),
        ),
        (
            "numerics",
            "eps is added to the standard deviation, outside the root; it belongs to the variance: sqrt(var + eps)",
            ("Where does eps stand in batchnorm_forward?", "std = np.sqrt(var + eps)"),
            spatial_forward(batchnorm.eps_outside_the_root),
        ),
        (
            "missing-term",
            "eps is not added to the variance; a channel that is constant over the batch divides by 0",
            ("Which eps does bn_param give?", "Hand bn_param on, or take bn_param.get('eps', 1e-5) to the variance."),
            spatial_forward(batchnorm.without_eps),
        ),
        (
            "wrong-statistic",
            "x is divided by the variance; it has to be divided by its root, the standard deviation",
            ("Which unit has the variance of x, if x is in metres?", "x_hat = (x - mean) / np.sqrt(var + eps)"),
            spatial_forward(batchnorm.without_the_root),
        ),
        (
            "state",
            "momentum weighs the new batch in the running averages; it weighs the past: momentum * running + (1 - momentum) * batch",
            ("With momentum 0.9, how much of the running mean should be left after one batch?", "PyTorch has it the other way round."),
            spatial_forward(batchnorm.momentum_of_the_new),
        ),
        (
            "mode",
            "in mode 'test' x is normalized with mean and variance of the batch; the running averages are what they are kept for",
            (
                "What would a single image of one colour become at test time?",
                'Use bn_param["running_mean"] and bn_param["running_var"] there.',
            ),
            spatial_forward(batchnorm.batch_statistics_in_test_mode),
        ),
        (
            "state",
            "the running averages are not written back into bn_param, so the next batch and the test do not find them",
            ("Do you hand on bn_param itself, or a copy?", 'bn_param["running_mean"] = running_mean, and the same for the variance.'),
            spatial_forward(batchnorm.averages_not_kept),
        ),
    )
)


def dout_reshaped_without_transposing(dout, cache):
    shape, _ = cache
    return spatial_batchnorm_backward(images(dout.reshape(-1, shape[1]), shape), cache)


def dx_not_transposed_back(dout, cache):
    dx, dgamma, dbeta = spatial_batchnorm_backward(dout, cache)
    return pixels(dx).reshape(dx.shape), dgamma, dbeta


def dx_channels_last(dout, cache):
    dx, dgamma, dbeta = spatial_batchnorm_backward(dout, cache)
    return dx.transpose(0, 2, 3, 1), dgamma, dbeta


def x_hat_of(cache):
    shape, (_, x_hat, _, _) = cache
    return images(x_hat, shape)


def sums_over(axes, *, keepdims=False):
    """dgamma and dbeta summed over other axes."""

    def backward(dout, cache):
        dx, _, _ = spatial_batchnorm_backward(dout, cache)
        return dx, (dout * x_hat_of(cache)).sum(axis=axes, keepdims=keepdims), dout.sum(axis=axes, keepdims=keepdims)

    return backward


def dx_with_means(mean):
    """dx with other means of dx_hat and dx_hat * x_hat."""

    def backward(dout, cache):
        right, dgamma, dbeta = spatial_batchnorm_backward(dout, cache)
        _, (mode, _, std, gamma) = cache
        if mode == "test":
            return right, dgamma, dbeta
        x_hat, dx_hat = x_hat_of(cache), dout * gamma[:, None, None]
        dx = (dx_hat - mean(dx_hat) - x_hat * mean(dx_hat * x_hat)) / std[:, None, None]
        return dx, dgamma, dbeta

    return backward


def means_over_the_pixels(dout, cache):
    dx, dgamma, dbeta = spatial_batchnorm_backward(dout, cache)
    return dx, dgamma / dout[:, 0].size, dbeta / dout[:, 0].size


def divided_by_the_batch(dout, cache):
    dx, dgamma, dbeta = spatial_batchnorm_backward(dout, cache)
    return dx, dgamma / len(dout), dbeta / len(dout)


def dgamma_and_dbeta_swapped(dout, cache):
    dx, dgamma, dbeta = spatial_batchnorm_backward(dout, cache)
    return dx, dbeta, dgamma


BACKWARD = tuple(
    Mistake("spatial_batchnorm_backward", kind, sentence, hints, code)
    for kind, sentence, hints, code in (
        (
            "transpose",
            "dout is reshaped to (N * H * W, C) as it is, which mixes channels and pixels: transpose the channels to the end first",
            ("Which numbers are in the first column of dout.reshape(-1, C)?", "dout.transpose(0, 2, 3, 1).reshape(-1, C)"),
            dout_reshaped_without_transposing,
        ),
        (
            "transpose",
            "dx is reshaped back to (N, C, H, W) without transposing; its order is (N, H, W, C) at that point",
            ("In which order do the rows of dx run?", "dx.reshape(N, H, W, C).transpose(0, 3, 1, 2)"),
            dx_not_transposed_back,
        ),
        (
            "transpose",
            "dx is (N, H, W, C), the channels last; expected (N, C, H, W)",
            ("Which shape has x?", ".transpose(0, 3, 1, 2)"),
            dx_channels_last,
        ),
        (
            "axis",
            "dgamma and dbeta are summed over the batch alone, one number a pixel; gamma serves all pixels of its channel",
            ("How many gammas are there?", "dbeta = dout.sum(axis=(0, 2, 3))"),
            sums_over((0,)),
        ),
        (
            "axis",
            "dgamma and dbeta are summed over the pixels alone, one number an image; gamma serves all images",
            ("How many gammas are there?", "dbeta = dout.sum(axis=(0, 2, 3))"),
            sums_over((2, 3)),
        ),
        (
            "shape",
            "dgamma and dbeta keep the summed axes, (1, C, 1, 1); expected (C,), like gamma",
            ("Which shape has gamma?", "dout.sum(axis=(0, 2, 3)), without keepdims"),
            sums_over((0, 2, 3), keepdims=True),
        ),
        (
            "wrong-statistic",
            "the sums in dx are divided by N; a channel's mean is over N * H * W numbers",
            ("How many numbers enter the mean of a channel?", "N * H * W, the number of pixels of the batch"),
            dx_with_means(lambda value: value.sum(axis=(0, 2, 3), keepdims=True) / len(value)),
        ),
        (
            "axis",
            "the means in dx are those of each pixel over the batch; in the forward pass they were over all pixels of a channel",
            ("Over which axes were mean and variance taken?", "mean(axis=(0, 2, 3), keepdims=True)"),
            dx_with_means(lambda value: value.mean(axis=0, keepdims=True)),
        ),
        (
            "axis",
            "the means in dx are those of each image; in the forward pass they were over the whole batch",
            ("Over which axes were mean and variance taken?", "mean(axis=(0, 2, 3), keepdims=True)"),
            dx_with_means(lambda value: value.mean(axis=(2, 3), keepdims=True)),
        ),
        (
            "scale",
            "dgamma and dbeta are means over batch and pixels; they have to be sums",
            ("If gamma[c] grows by 1, how many numbers of out change?", "dbeta = dout.sum(axis=(0, 2, 3))"),
            means_over_the_pixels,
        ),
        (
            "shape",
            "dgamma and dbeta are given back in the wrong order: dx, dgamma, dbeta",
            ("Which of the two is the sum of dout alone?", "return dx, dgamma, dbeta"),
            dgamma_and_dbeta_swapped,
        ),
        (
            "missing-term",
            "dx leaves out that the mean depends on x: - mean(dx_hat) / std is missing",
            ("Along which ways does x reach the output? There are three.", "dx = dx_centred - mean(dx_centred), over batch and pixels"),
            spatial_backward(batchnorm.mean_as_constant),
        ),
        (
            "missing-term",
            "dx leaves out that the variance depends on x: - x_hat * mean(dx_hat * x_hat) / std is missing",
            ("Along which ways does x reach the output? There are three.", "std is a function of every pixel: go through it, too."),
            spatial_backward(batchnorm.variance_as_constant),
        ),
        (
            "missing-term",
            "dx takes mean and variance for constants, which they are in mode 'test' alone; both depend on every pixel",
            ("Does the mean of a channel change when one pixel does?", "Two more terms belong to dx: through mean and through variance."),
            spatial_backward(batchnorm.statistics_as_constants),
        ),
        (
            "missing-term",
            "dx lacks the factor gamma: out = gamma * x_hat + beta, so dx_hat = dout * gamma",
            ("What does dout pass first on its way back?", "dx_hat = dout * gamma[:, None, None]"),
            spatial_backward(batchnorm.without_gamma),
        ),
        (
            "missing-term",
            "dx lacks the division by the standard deviation: x_hat = (x - mean) / std",
            ("By what was x - mean divided in the forward pass?", "All of dx is divided by std."),
            spatial_backward(batchnorm.without_the_deviation),
        ),
        (
            "missing-term",
            "dgamma is the sum of dout; gamma is multiplied by x_hat, so it is the sum of dout * x_hat",
            ("What is the derivative of gamma * x_hat with respect to gamma?", "dgamma = (dout * x_hat).sum(axis=(0, 2, 3))"),
            spatial_backward(batchnorm.dgamma_without_x_hat),
        ),
        (
            "mode",
            "after a forward pass in mode 'test' dx still goes through mean and variance of the batch, which are constants there",
            ("Does out depend on the mean of this batch in mode 'test'?", "Keep the mode in the cache; dx = dout * gamma / std there."),
            spatial_backward(batchnorm.test_mode_as_training),
        ),
        (
            "scale",
            "dgamma and dbeta are divided by N; the loss divided by N already",
            ("Does dout know of N already?", "dbeta = dout.sum(axis=(0, 2, 3))"),
            divided_by_the_batch,
        ),
    )
)


MISTAKES = (*FORWARD, *BACKWARD)
