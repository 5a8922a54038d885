"""Mistakes in group normalization."""

import numpy as np

from chainrule.functional import spatial_groupnorm_backward, spatial_groupnorm_forward
from chainrule.lab.mistake import Mistake

__all__ = ["MISTAKES"]


def forward(x, gamma, beta, gn_param, shape, axes, *, order=None, deviation=None):
    """Normalize x, reshaped to `shape`, over the axes; x is transposed by `order` before."""
    eps = gn_param.get("eps", 1e-5)
    ordered = x if order is None else x.transpose(order)
    groups = ordered.reshape(shape)
    centred = groups - groups.mean(axis=axes, keepdims=True)
    std = np.sqrt(groups.var(axis=axes, keepdims=True) + eps) if deviation is None else deviation(groups, axes, eps)
    x_hat = (centred / std).reshape(ordered.shape)
    if order is not None:
        x_hat = x_hat.transpose(np.argsort(order))
    return gamma * x_hat + beta, None


def grouped(x, G):
    N, C, H, W = x.shape
    return N, G, C // G, H, W


def with_deviation(deviation):
    def wrong(x, gamma, beta, G, gn_param):
        return forward(x, gamma, beta, gn_param, grouped(x, G), (2, 3, 4), deviation=deviation)

    return wrong


def interleaved(x, gamma, beta, G, gn_param):
    N, C, H, W = x.shape
    return forward(x, gamma, beta, gn_param, (N, C // G, G, H, W), (1, 3, 4))


def channels_of_a_group_for_groups(x, gamma, beta, G, gn_param):
    N, C, H, W = x.shape
    return forward(x, gamma, beta, gn_param, (N, C // G, G, H, W), (2, 3, 4))


def parts_of_the_image(x, gamma, beta, G, gn_param):
    return forward(x, gamma, beta, gn_param, (len(x) * G, -1), (1,), order=(0, 2, 3, 1))


def over_the_batch_too(x, gamma, beta, G, gn_param):
    return forward(x, gamma, beta, gn_param, grouped(x, G), (0, 2, 3, 4))


def groups_across_images(x, gamma, beta, G, gn_param):
    return forward(x, gamma, beta, gn_param, (G, -1), (1,))


def each_channel(x, gamma, beta, G, gn_param):
    return forward(x, gamma, beta, gn_param, grouped(x, G), (3, 4))


def each_pixel(x, gamma, beta, G, gn_param):
    return forward(x, gamma, beta, gn_param, grouped(x, G), (2,))


def all_channels(x, gamma, beta, G, gn_param):
    return forward(x, gamma, beta, gn_param, x.shape, (1, 2, 3))


def as_batchnorm(x, gamma, beta, G, gn_param):
    return forward(x, gamma, beta, gn_param, x.shape, (0, 2, 3))


def without_scale_and_shift(x, gamma, beta, G, gn_param):
    return spatial_groupnorm_forward(x, np.ones_like(gamma), np.zeros_like(beta), G, gn_param)


def without_beta(x, gamma, beta, G, gn_param):
    return spatial_groupnorm_forward(x, gamma, np.zeros_like(beta), G, gn_param)


def gamma_of_the_group(x, gamma, beta, G, gn_param):
    first = np.arange(gamma.size) // (gamma.size // G)  # group g takes number g
    return spatial_groupnorm_forward(x, gamma[:, first], beta[:, first], G, gn_param)


def not_centred(x, gamma, beta, G, gn_param):
    groups = x.reshape(grouped(x, G))
    x_hat = groups / np.sqrt(groups.var(axis=(2, 3, 4), keepdims=True) + gn_param.get("eps", 1e-5))
    return gamma * x_hat.reshape(x.shape) + beta, None


FORWARD = tuple(
    Mistake("spatial_groupnorm_forward", kind, sentence, hints, code)
    for kind, sentence, hints, code in (
        (
            "axis",
            "the groups take every G-th channel; a group is C / G channels that are neighbours",
            ("Which channels are in the first group, if C = 6 and G = 3?", "x.reshape(N, G, C // G, H, W), then axes (2, 3, 4)"),
            interleaved,
        ),
        (
            "axis",
            "G is taken for the number of channels in a group; it is the number of groups",
            ("How many means has one image?", "x.reshape(N, G, C // G, H, W)"),
            channels_of_a_group_for_groups,
        ),
        (
            "transpose",
            "the channels are transposed to the end before x is divided: a group is then a part of the image with all channels",
            ("What is next to x[0, 0, 0, 0] in memory, after transpose(0, 2, 3, 1)?", "Groups are parts of axis 1: reshape x as it is."),
            parts_of_the_image,
        ),
        (
            "axis",
            "mean and variance are taken over the batch, too; every image is normalized on its own",
            ("Should out[0] change when x[1] does?", "x.reshape(N, G, C // G, H, W), then axes (2, 3, 4)"),
            over_the_batch_too,
        ),
        (
            "axis",
            "x is divided into G rows for the whole batch; every image has G groups of its own, N * G rows",
            ("How many means are there for N images?", "x.reshape(N * G, -1)"),
            groups_across_images,
        ),
        (
            "axis",
            "every channel is normalized on its own (instance norm); mean and variance are those of a group of C / G channels",
            ("How many means has one image?", "x.reshape(N, G, C // G, H, W), then axes (2, 3, 4)"),
            each_channel,
        ),
        (
            "axis",
            "mean and variance are those of each pixel over its group's channels; they are over the group's pixels, too",
            ("How many means has one image?", "x.reshape(N, G, C // G, H, W), then axes (2, 3, 4)"),
            each_pixel,
        ),
        (
            "axis",
            "all channels are normalized together (layer norm), whatever G is; every group has its own mean and variance",
            ("Where does G stand in your code?", "x.reshape(N, G, C // G, H, W), then axes (2, 3, 4)"),
            all_channels,
        ),
        (
            "axis",
            "every channel is normalized over the batch (batch norm); group norm takes the groups of each image",
            ("Should out[0] change when x[1] does?", "x.reshape(N, G, C // G, H, W), then axes (2, 3, 4)"),
            as_batchnorm,
        ),
        (
            "missing-term",
            "gamma and beta are left out: out = gamma * x_hat + beta, channel by channel",
            ("What are gamma and beta for?", "gamma * x_hat + beta; their shape (1, C, 1, 1) broadcasts."),
            without_scale_and_shift,
        ),
        (
            "missing-term",
            "beta is left out: out = gamma * x_hat + beta, channel by channel",
            ("What is the mean of a group of out, if gamma is 1?", "+ beta"),
            without_beta,
        ),
        (
            "axis",
            "all channels of a group take the gamma and beta of one; every channel has its own",
            ("How many gammas are there, G or C?", "Give x_hat the shape of x before you multiply it by gamma."),
            gamma_of_the_group,
        ),
        (
            "missing-term",
            "the mean is not subtracted: x_hat = (x - mean) / std",
            ("What is the mean of a group of x_hat?", "Subtract the mean of the group before dividing."),
            not_centred,
        ),
        (
            "wrong-statistic",
            "the variance is the unbiased one; group norm divides the sum of squares by the number of values in the group",
            ("By what is the sum of squares divided?", "np.var divides by their number unless ddof says else."),
            with_deviation(lambda groups, axes, eps: np.sqrt(groups.var(axis=axes, keepdims=True, ddof=int(groups[0, 0].size > 1)) + eps)),
        ),
        (
            "numerics",
            "eps is added to the standard deviation, outside the root; it belongs to the variance: sqrt(var + eps)",
            ("Where does eps stand in the paper's equation for the deviation?", "std = np.sqrt(var + eps)"),
            with_deviation(lambda groups, axes, eps: groups.std(axis=axes, keepdims=True) + eps),
        ),
        (
            "missing-term",
            "eps is not added to the variance; a group of equal values divides by 0",
            ("Which eps does gn_param give?", 'gn_param.get("eps", 1e-5) belongs to the variance.'),
            with_deviation(lambda groups, axes, eps: groups.std(axis=axes, keepdims=True)),
        ),
        (
            "wrong-statistic",
            "x is divided by the variance; it has to be divided by its root, the standard deviation",
            ("Which unit has the variance of x, if x is in metres?", "x_hat = (x - mean) / np.sqrt(var + eps)"),
            with_deviation(lambda groups, axes, eps: groups.var(axis=axes, keepdims=True) + eps),
        ),
    )
)


def groups_of(cache):
    """x_hat in groups (N, G, C / G, H, W), std (N, G, 1, 1, 1) and gamma (1, C, 1, 1)."""
    x_hat, gamma, (_, std, _) = cache
    N, C, H, W = x_hat.shape
    G = len(std) // N
    return x_hat.reshape(N, G, C // G, H, W), std.reshape(N, G, 1, 1, 1), gamma


def with_dx(dx):
    """The backward pass with another dx: of dx_hat and x_hat in groups, and std."""

    def backward(dout, cache):
        x_hat, std, gamma = groups_of(cache)
        _, dgamma, dbeta = spatial_groupnorm_backward(dout, cache)
        return dx((dout * gamma).reshape(x_hat.shape), x_hat, std).reshape(dout.shape), dgamma, dbeta

    return backward


def with_means_over(axes):
    def dx(dx_hat, x_hat, std):
        along = (dx_hat * x_hat).mean(axis=axes, keepdims=True)
        return (dx_hat - dx_hat.mean(axis=axes, keepdims=True) - x_hat * along) / std

    return with_dx(dx)


def sums_divided_by(count):
    def dx(dx_hat, x_hat, std):
        sums = ((value.sum(axis=(2, 3, 4), keepdims=True) / count(x_hat)) for value in (dx_hat, dx_hat * x_hat))
        return (dx_hat - next(sums) - x_hat * next(sums)) / std

    return with_dx(dx)


def mean_as_constant(dx_hat, x_hat, std):
    return (dx_hat - x_hat * (dx_hat * x_hat).mean(axis=(2, 3, 4), keepdims=True)) / std


def variance_as_constant(dx_hat, x_hat, std):
    return (dx_hat - dx_hat.mean(axis=(2, 3, 4), keepdims=True)) / std


def without_the_deviation(dout, cache):
    dx, dgamma, dbeta = spatial_groupnorm_backward(dout, cache)
    x_hat, std, _ = groups_of(cache)
    return (dx.reshape(x_hat.shape) * std).reshape(dx.shape), dgamma, dbeta


def without_gamma(dout, cache):
    x_hat, gamma, ln_cache = cache
    dx, _, _ = spatial_groupnorm_backward(dout, (x_hat, np.ones_like(gamma), ln_cache))
    return dx, *spatial_groupnorm_backward(dout, cache)[1:]


def gamma_at_the_end(dout, cache):
    dx, dgamma, dbeta = without_gamma(dout, cache)
    return dx * cache[1], dgamma, dbeta


def interleaved_backward(dout, cache):
    """The groups of dx_hat as every G-th channel, those of x_hat as they are."""
    x_hat, std, gamma = groups_of(cache)
    N, G, M, H, W = x_hat.shape
    _, dgamma, dbeta = spatial_groupnorm_backward(dout, cache)
    dx_hat = (dout * gamma).reshape(N, M, G, H, W).transpose(0, 2, 1, 3, 4)
    along = (dx_hat * x_hat).mean(axis=(2, 3, 4), keepdims=True)
    dx = (dx_hat - dx_hat.mean(axis=(2, 3, 4), keepdims=True) - x_hat * along) / std
    return dx.reshape(dout.shape), dgamma, dbeta


def sums_over(axes, *, keepdims=True):
    def backward(dout, cache):
        dx, _, _ = spatial_groupnorm_backward(dout, cache)
        return dx, (dout * cache[0]).sum(axis=axes, keepdims=keepdims), dout.sum(axis=axes, keepdims=keepdims)

    return backward


def dgamma_without_x_hat(dout, cache):
    dx, _, dbeta = spatial_groupnorm_backward(dout, cache)
    return dx, dbeta, dbeta


def divided_by(count):
    def backward(dout, cache):
        dx, dgamma, dbeta = spatial_groupnorm_backward(dout, cache)
        return dx, dgamma / count(dout), dbeta / count(dout)

    return backward


def gradients_swapped(dout, cache):
    dx, dgamma, dbeta = spatial_groupnorm_backward(dout, cache)
    return dx, dbeta, dgamma


BACKWARD = tuple(
    Mistake("spatial_groupnorm_backward", kind, sentence, hints, code)
    for kind, sentence, hints, code in (
        (
            "axis",
            "the means in dx are those of each channel; in the forward pass they were over all values of a group",
            ("Over which axes were mean and variance taken?", "dx_hat.reshape(N, G, C // G, H, W), then axes (2, 3, 4)"),
            with_means_over((3, 4)),
        ),
        (
            "axis",
            "the means in dx are those of the whole image; in the forward pass they were over the values of a group",
            ("Over which axes were mean and variance taken?", "dx_hat.reshape(N, G, C // G, H, W), then axes (2, 3, 4)"),
            with_means_over((1, 2, 3, 4)),
        ),
        (
            "axis",
            "the means in dx are taken over the batch, too; an image was normalized on its own",
            ("Does out[0] depend on x[1]?", "dx_hat.reshape(N, G, C // G, H, W), then axes (2, 3, 4)"),
            with_means_over((0, 2, 3, 4)),
        ),
        (
            "axis",
            "the means in dx are those of each pixel over its group's channels; in the forward pass they were over the group's pixels, too",
            ("Over which axes were mean and variance taken?", "dx_hat.reshape(N, G, C // G, H, W), then axes (2, 3, 4)"),
            with_means_over((2,)),
        ),
        (
            "wrong-statistic",
            "the sums in dx are divided by H * W; a group has C / G * H * W values",
            ("How many values enter the mean of a group?", "C // G * H * W"),
            sums_divided_by(lambda x_hat: x_hat.shape[3] * x_hat.shape[4]),
        ),
        (
            "wrong-statistic",
            "the sums in dx are divided by C * H * W; a group has C / G * H * W values",
            ("How many values enter the mean of a group?", "C // G * H * W"),
            sums_divided_by(lambda x_hat: x_hat[0].size),
        ),
        (
            "axis",
            "dx_hat is divided into groups of every G-th channel; a group is C / G channels that are neighbours",
            ("Which channels were in the first group in the forward pass?", "(dout * gamma).reshape(N, G, C // G, H, W)"),
            interleaved_backward,
        ),
        (
            "missing-term",
            "dx leaves out that the mean depends on x: - mean(dx_hat) / std is missing",
            ("Along which ways does x reach the output? There are three.", "dx = dx_centred - mean(dx_centred), over the group"),
            with_dx(mean_as_constant),
        ),
        (
            "missing-term",
            "dx leaves out that the variance depends on x: - x_hat * mean(dx_hat * x_hat) / std is missing",
            (
                "Along which ways does x reach the output? There are three.",
                "std is a function of every value of the group: go through it, too.",
            ),
            with_dx(variance_as_constant),
        ),
        (
            "missing-term",
            "dx takes mean and variance for constants; both depend on every value of the group",
            ("Does the mean of a group change when one pixel does?", "Two more terms belong to dx: through mean and through variance."),
            with_dx(lambda dx_hat, x_hat, std: dx_hat / std),
        ),
        (
            "missing-term",
            "dx lacks the division by the standard deviation: x_hat = (x - mean) / std",
            ("By what was x - mean divided in the forward pass?", "All of dx is divided by std."),
            without_the_deviation,
        ),
        (
            "missing-term",
            "dx lacks the factor gamma: out = gamma * x_hat + beta, so dx_hat = dout * gamma",
            ("What does dout pass first on its way back?", "dx_hat = dout * gamma, and everything else from dx_hat."),
            without_gamma,
        ),
        (
            "missing-term",
            "dx is multiplied by gamma at the end; gamma differs within a group, and belongs to dout before the means",
            ("Can gamma be taken out of a mean over channels?", "dx_hat = dout * gamma, and everything else from dx_hat."),
            gamma_at_the_end,
        ),
        (
            "shape",
            "dgamma and dbeta have the shape (C,); expected (1, C, 1, 1), like gamma",
            ("Which shape has gamma here?", "sum(axis=(0, 2, 3), keepdims=True)"),
            sums_over((0, 2, 3), keepdims=False),
        ),
        (
            "axis",
            "dgamma and dbeta are summed over the pixels alone; they have to be summed over the batch, too",
            ("How many gammas are there for N images?", "sum(axis=(0, 2, 3), keepdims=True)"),
            sums_over((2, 3)),
        ),
        (
            "axis",
            "dgamma and dbeta are summed over the batch alone; they have to be summed over the pixels, too",
            ("How many gammas are there for H * W pixels?", "sum(axis=(0, 2, 3), keepdims=True)"),
            sums_over((0,)),
        ),
        (
            "missing-term",
            "dgamma is the sum of dout; gamma is multiplied by x_hat, so it is the sum of dout * x_hat",
            ("What is the derivative of gamma * x_hat with respect to gamma?", "(dout * x_hat).sum(axis=(0, 2, 3), keepdims=True)"),
            dgamma_without_x_hat,
        ),
        (
            "scale",
            "dgamma and dbeta are divided by N; the loss divided by N already",
            ("Does dout know of N already?", "sum(axis=(0, 2, 3), keepdims=True)"),
            divided_by(len),
        ),
        (
            "scale",
            "dgamma and dbeta are means over batch and pixels; they have to be sums",
            ("If one gamma grows by 1, how many numbers of out change?", "sum(axis=(0, 2, 3), keepdims=True)"),
            divided_by(lambda dout: dout[:, 0].size),
        ),
        (
            "shape",
            "dgamma and dbeta are given back in the wrong order: dx, dgamma, dbeta",
            ("Which of the two is the sum of dout alone?", "return dx, dgamma, dbeta"),
            gradients_swapped,
        ),
    )
)

MISTAKES = (*FORWARD, *BACKWARD)
