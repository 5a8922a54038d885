"""`check_gradients` lets right implementations pass, however they are written, and rejects planted mistakes with the sentence that fits."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from chainrule.verification import GradientError, check_gradients, check_loss

# All sizes differ, and nothing is 0 or 1, so that swapped axes and missing factors cannot hide.
N, D, M = 4, 3, 5
RNG = np.random.default_rng(0)
X, W, B = RNG.standard_normal((N, D)), RNG.standard_normal((D, M)), RNG.standard_normal(M)
GAMMA, BETA = RNG.uniform(1.5, 2.5, D), RNG.standard_normal(D)


def affine(x, w, b):
    return x @ w + b, (x, w)


def affine_backward(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout, dout.sum(axis=0)


def batchnorm(x, gamma, beta):
    std = np.sqrt(x.var(axis=0) + 1e-5)
    x_hat = (x - x.mean(axis=0)) / std
    return gamma * x_hat + beta, (x_hat, std, gamma)


def batchnorm_backward(dout, cache):
    x_hat, std, gamma = cache
    dx_hat = dout * gamma
    dx = (dx_hat - dx_hat.mean(axis=0) - x_hat * (dx_hat * x_hat).mean(axis=0)) / std
    return dx, (dout * x_hat).sum(axis=0), dout.sum(axis=0)


def relu(x):
    return np.maximum(x, 0), x


def relu_backward(dout, x):
    return dout * (x > 0)


# --- right implementations ------------------------------------------------------------------------------------------------------------


def test_a_right_pair_passes_and_the_report_says_how_well():
    report = check_gradients(affine, affine_backward, X, W, B)
    assert [(array.name, array.shape, array.checked) for array in report.arrays] == [
        ("dx", (N, D), 12),
        ("dw", (D, M), 15),
        ("db", (M,), 5),
    ]
    # eps**(2/3) = 4e-11 is what central differences can do; the map is linear, so rounding is all there is
    assert 0 <= report.error == max(array.error for array in report.arrays) < 1e-9
    assert "affine_backward: the gradients agree" in str(report)
    assert re.search(r"dw +\(3, 5\) +15 checked", str(report))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(4, 3), (1, 3), (4, 1), (1, 1), (0, 3), (4, 0)])
def test_any_size_passes_in_any_precision(shape, dtype):
    n, d = shape
    x, w, b = (RNG.standard_normal(s).astype(dtype) for s in ((n, d), (d, M), (M,)))
    check_gradients(affine, affine_backward, x, w, b)


@pytest.mark.parametrize("x", [np.array(0.7), np.array([0.7, -0.2]), RNG.standard_normal((2, 3, 5, 4))], ids=lambda x: f"{x.ndim} axes")
def test_any_number_of_axes_passes(x):
    check_gradients(lambda x: (np.tanh(x), np.tanh(x)), lambda dout, out: dout * (1 - out**2), x)


def scalar_loops(dout, cache):
    x, w = cache
    dx, dw, db = np.zeros(x.shape, x.dtype), np.zeros(w.shape, w.dtype), np.zeros(w.shape[1], w.dtype)
    for n in range(len(x)):
        for m in range(w.shape[1]):
            dx[n] += w[:, m] * dout[n, m]
            dw[:, m] += x[n] * dout[n, m]
            db[m] += dout[n, m]
    return [dx, dw, db]


def transposed_views(dout, cache):
    x, w = cache
    return (w @ dout.T).T, np.asfortranarray(x.T @ dout), np.einsum("nm->m", dout)


@pytest.mark.parametrize("backward", [scalar_loops, transposed_views])
def test_an_unusual_style_passes(backward):
    check_gradients(affine, backward, X, W, B)


def test_a_gradient_may_be_dout_itself_or_a_view_of_it():
    check_gradients(lambda x: (x, None), lambda dout, _: dout, X)
    check_gradients(lambda x: (x.reshape(-1), x.shape), lambda dout, shape: dout.reshape(shape), X)
    check_gradients(lambda x, y: (x + y, None), lambda dout, _: (dout, dout), X, X + 1)


def test_a_bias_before_batch_normalization_has_a_gradient_of_zero_and_passes():
    def forward(x, w, b):
        hidden, affine_cache = affine(x, w, b)
        out, norm_cache = batchnorm(hidden, 2.0, 0.5)
        return out, (affine_cache, norm_cache)

    def backward(dout, caches):
        return affine_backward(batchnorm_backward(dout, caches[1])[0], caches[0])

    check_gradients(forward, backward, X, W, B)


@pytest.mark.parametrize("slope_at_0", [0.0, 0.5, 1.0])
def test_at_a_kink_any_slope_between_the_two_sides_passes(slope_at_0):
    x = np.array([[0.0, 1.0, -2.0], [0.0, 1e-7, -1e-7]])
    check_gradients(relu, lambda dout, x: dout * np.where(x == 0, np.asarray(slope_at_0, x.dtype), x > 0), x)


def test_strong_curvature_passes_with_smaller_steps():
    x = 1e-3 * X  # the variance is a tenth of eps: the third derivative is 1e5 times the slope
    check_gradients(batchnorm, batchnorm_backward, x, GAMMA, BETA)


def test_a_layer_for_positive_numbers_is_never_shown_others():
    check_gradients(
        lambda x, a: (a * np.log(x), (x, a)), lambda dout, cache: (dout * cache[1] / cache[0], dout * np.log(cache[0])), X**2, X**2
    )


def test_a_large_array_is_sampled():
    x, w = RNG.standard_normal((4, 300)), RNG.standard_normal((300, 20))
    report = check_gradients(lambda x, w: (x @ w, (x, w)), lambda dout, cache: affine_backward(dout, cache)[:2], x, w, max_checks=30)
    assert [array.checked for array in report.arrays] == [30, 30]


@given(arrays(np.float64, (5, 3), elements=st.floats(-4, 4)), st.integers(0, 2**32))
def test_relu_passes_anywhere_and_with_any_seed(x, seed):
    check_gradients(relu, relu_backward, x, seed=seed)


@given(st.integers(0, 2**32))
def test_batch_normalization_passes_with_any_seed(seed):
    rng = np.random.default_rng(seed)
    check_gradients(batchnorm, batchnorm_backward, rng.normal(3, 2, (6, 4)), rng.uniform(0.5, 2, 4), rng.standard_normal(4), seed=seed)


def test_the_arrays_are_left_as_they_are_and_may_be_read_only():
    x = X.copy()
    x.setflags(write=False)
    check_gradients(relu, relu_backward, x)
    assert np.array_equal(x, X)


def test_float32_can_be_left_out_for_a_forward_that_is_bound_to_float64():
    pair = (lambda x: affine(x, W, B)), (lambda dout, cache: affine_backward(dout, cache)[0])
    check_gradients(*pair, X, float32=False)
    with pytest.raises(GradientError, match="in float32: the output is float64 for float32 inputs"):
        check_gradients(*pair, X)


# --- losses ---------------------------------------------------------------------------------------------------------------------------


def softmax_loss(x, y):
    p = np.exp(x - x.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    rows = np.arange(len(x))
    loss = -np.log(p[rows, y]).mean()
    p[rows, y] -= 1
    return loss, p / len(x)


LABELS = np.array([0, 2, 1, 1])


def test_a_right_loss_passes():
    check_loss(softmax_loss, X, LABELS)
    check_loss(lambda x: (float(np.sum(x**2)), 2 * x), X)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda dx: dx * N, "dx is wrong: it is 4 times too large, the size of the batch: a division by N is missing"),
        (lambda dx: dx / N, "dx is wrong: it is 4 times too small, the size of the batch"),
        (lambda dx: dx + 1 / N, "dx is wrong: it is off by the same 0.25 everywhere"),
        (lambda dx: dx[:, :1], r"dx has shape \(4, 1\), but x has \(4, 3\)"),
    ],
)
def test_a_wrong_loss_is_rejected(wrong, sentence):
    def loss(x, y):
        value, dx = softmax_loss(x, y)
        return value, wrong(dx)

    with pytest.raises(GradientError, match=f"^loss: {sentence}"):
        check_loss(loss, X, LABELS)


# --- planted mistakes in an affine layer ----------------------------------------------------------------------------------------------


def affine_with(**mistakes):
    """affine_backward, with some of its gradients replaced: name -> function of (dout, x, w, the right gradient)."""

    def backward(dout, cache):
        x, w = cache
        right = dict(zip(("dx", "dw", "db"), affine_backward(dout, cache), strict=True))
        return tuple(mistakes[name](dout, x, w, grad) if name in mistakes else grad for name, grad in right.items())

    return backward


def changed(array):
    array *= 2
    return array


@pytest.mark.parametrize(
    ("mistakes", "sentence"),
    [
        (dict(dw=lambda dout, x, w, dw: np.zeros_like(dw)), "dw is wrong: it is zero everywhere"),
        (dict(dw=lambda dout, x, w, dw: -dw), "dw is wrong: it has the wrong sign"),
        (dict(dw=lambda dout, x, w, dw: dw / len(x)), "dw is wrong: it is 4 times too small, the size of the batch"),
        (dict(dw=lambda dout, x, w, dw: dw + 0.01), "dw is wrong: it is off by the same 0.01 everywhere"),
        (dict(db=lambda dout, x, w, db: dout), r"db has shape \(4, 5\), but b has \(5,\); the sum over axis 0 is missing"),
        (dict(db=lambda dout, x, w, db: dout.sum(axis=0, keepdims=True)), r"db has shape \(1, 5\), but b has \(5,\); an axis of length 1"),
        (dict(db=lambda dout, x, w, db: dout[0]), "db is wrong"),
        (dict(db=lambda dout, x, w, db: dout.mean(axis=0)), "db is wrong: it is 4 times too small"),
        (dict(db=lambda dout, x, w, db: db.sum()), r"db has shape \(\), but b has \(5,\)"),
        (dict(dw=lambda dout, x, w, dw: dw.T), r"dw has shape \(5, 3\), but w has \(3, 5\); it is transposed"),
        (dict(dw=lambda dout, x, w, dw: dw * np.nan), r"dw is not finite: dw\[0, 0\] is nan"),
        (dict(dw=lambda dout, x, w, dw: dw / 0.0), "dw is not finite"),
        (dict(dw=lambda dout, x, w, dw: None), r"dw is NoneType; an array like w, \(3, 5\), is needed"),
        (dict(dw=lambda dout, x, w, dw: dw.tolist()), "dw is list"),
        (dict(dw=lambda dout, x, w, dw: dw.astype(int)), "dw is int64 for a float64 w"),
        (dict(dw=lambda dout, x, w, dw: dw.astype(np.float64)), "in float32: dw is float64 for a float32 w"),
        (dict(dw=lambda dout, x, w, dw: dw.astype(np.float32)), "dw is float32 for a float64 w"),
        (dict(dw=lambda dout, x, w, dw: np.clip(dw, -100, 100)), "dw is not linear in dout"),
        (dict(dw=lambda dout, x, w, dw: np.abs(dw)), "dw is wrong"),
        (dict(dw=lambda dout, x, w, dw: dw * (1 + 1e-6)), "dw is wrong"),
        (dict(dx=lambda dout, x, w, dx: changed(dout) @ w.T), r"backward changes dout: dout\[0, 0\] was .* others still need it"),
        (dict(dx=lambda dout, x, w, dx: (changed(x), dx)[1]), r"backward changes x: x\[0, 0\]"),
        (dict(dx=lambda dout, x, w, dx: (changed(w), dx)[1]), r"backward changes w: w\[0, 0\]"),
        (dict(dx=lambda dout, x, w, dx: dout.reshape(-1, order="A").reshape(dout.shape) @ w.T), "dx changes when .* in Fortran order"),
        (dict(dx=lambda dout, x, w, dx: dx * np.random.default_rng().random()), "dx changes when backward is called again"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_a_planted_mistake_in_the_affine_layer_is_rejected(mistakes, sentence):
    with pytest.raises(GradientError, match=f"^backward.*[:,] {sentence}"):
        check_gradients(affine, affine_with(**mistakes), X, W, B)


def test_a_wrong_value_is_reported_with_index_both_values_difference_and_tolerance():
    def backward(dout, cache):
        dx, dw, db = affine_backward(dout, cache)
        dw[2, 1] += 0.25 * dout[0, 0]
        return dx, dw, db

    with pytest.raises(GradientError) as raised:
        check_gradients(affine, backward, X, W, B)
    found = re.search(
        r"dw\[2, 1\] is (\S+), central differences give (\S+): a difference of (\S+), the greatest of 1 among 15 entries checked; "
        r"(\S+) is allowed",
        str(raised.value),
    )
    assert found, raised.value
    actual, expected, difference, allowed = map(float, found.groups())
    assert abs(actual - expected) == pytest.approx(difference, rel=1e-2)
    assert 0 < allowed < 1e-5 < difference


def test_the_transpose_of_a_square_gradient_is_rejected():
    with pytest.raises(GradientError, match="dw is wrong: it is the transpose of the right gradient"):
        check_gradients(affine, affine_with(dw=lambda dout, x, w, dw: dw.T), X, W[:, :3], B[:3])


def test_an_x_from_the_stream_of_the_seed_does_not_make_dout_equal_to_it():
    x = np.random.default_rng(0).standard_normal((5, 6))  # dout = x would make dw = x.T @ dout symmetric, and its transpose right
    with pytest.raises(GradientError, match="dw is wrong: it is the transpose of the right gradient"):
        check_gradients(affine, affine_with(dw=lambda dout, x, w, dw: dw.T), x, np.eye(6), np.zeros(6), seed=0)


def test_gradients_in_the_wrong_order_are_rejected():
    def backward(dout, cache):
        dx, dgamma, dbeta = batchnorm_backward(dout, cache)
        return dx, dbeta, dgamma

    with pytest.raises(GradientError, match="dgamma is wrong: it is the gradient dbeta: are they returned in the wrong order"):
        check_gradients(batchnorm, backward, X, GAMMA, BETA)


def test_a_missing_gradient_is_rejected():
    with pytest.raises(GradientError, match=r"backward returns 2 gradients for 3 arrays \(x, w, b\)"):
        check_gradients(affine, lambda dout, cache: affine_backward(dout, cache)[:2], X, W, B)


# --- planted mistakes in batch normalization ------------------------------------------------------------------------------------------


def batchnorm_dx(formula):
    def backward(dout, cache):
        _, dgamma, dbeta = batchnorm_backward(dout, cache)
        return formula(dout, *cache), dgamma, dbeta

    return backward


@pytest.mark.parametrize(
    "formula",
    [
        pytest.param(lambda dout, x_hat, std, gamma: dout * gamma / std, id="statistics held constant"),
        pytest.param(lambda dout, x_hat, std, gamma: gamma / std * (dout - dout.mean(axis=0)), id="the variance held constant"),
        pytest.param(
            lambda dout, x_hat, std, gamma: gamma / std * (dout - x_hat * (dout * x_hat).mean(axis=0)), id="the mean held constant"
        ),
        pytest.param(
            lambda dout, x_hat, std, gamma: gamma / std * (dout - dout.mean() - x_hat * (dout * x_hat).mean()), id="means over everything"
        ),
        pytest.param(
            lambda dout, x_hat, std, gamma: (
                gamma * (dout - dout.mean(axis=0) - x_hat * (dout * x_hat).mean(axis=0)) / np.sqrt(std**2 - 1e-5).astype(dout.dtype)
            ),
            id="eps forgotten",
        ),
    ],
)
def test_batch_normalization_with_a_missing_term_is_rejected(formula):
    with pytest.raises(GradientError, match="dx is wrong"):
        check_gradients(batchnorm, batchnorm_dx(formula), X, GAMMA, BETA)


def test_a_mistake_that_hides_at_a_scale_of_one_shows_in_a_network():
    without_gamma = batchnorm_dx(lambda dout, x_hat, std, gamma: batchnorm_backward(dout, (x_hat, std, np.ones_like(gamma)))[0])
    with pytest.raises(GradientError, match=r"in a network \(behind x = s \* z .*dz is wrong"):
        check_gradients(batchnorm, without_gamma, X, np.ones(D), np.zeros(D))


def test_a_mistake_that_hides_on_normalized_data_shows_in_a_network():
    normalized = batchnorm(X, 1, 0)[0]
    without_std = batchnorm_dx(lambda dout, x_hat, std, gamma: batchnorm_backward(dout, (x_hat, np.ones_like(std), gamma))[0])
    normalized *= np.sqrt(1 - 1e-5) / normalized.std(axis=0)  # so that var + eps is 1
    with pytest.raises(GradientError, match="in a network"):
        check_gradients(batchnorm, without_std, normalized, GAMMA, BETA)


# --- planted mistakes elsewhere -------------------------------------------------------------------------------------------------------


def maximum(x, y):
    return np.maximum(x, y), (x, y)


def maximum_backward(share):
    def backward(dout, cache):
        x, y = cache
        tie = np.asarray(share, x.dtype) * (x == y)
        return dout * ((x > y) + tie), dout * ((x < y) + (x == y) - tie)

    return backward


def test_a_relu_that_is_wrong_at_ties_is_rejected():
    x = np.array([[0.0, 1.0, -2.0], [3.0, 0.0, -1.0]])
    with pytest.raises(GradientError, match=r"dx is wrong.*dx\[\d, \d\] is"):
        check_gradients(relu, lambda dout, x: dout * np.where(x == 0, np.asarray(2, x.dtype), x > 0), x)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_maximum_may_divide_a_tie_as_it_likes(share):
    check_gradients(maximum, maximum_backward(share), X, np.where(X > 0, X, X + 1))


@pytest.mark.parametrize("share", [-0.5, 1.5])
def test_a_maximum_that_gives_more_than_all_of_a_tie_is_rejected(share):
    with pytest.raises(GradientError, match="dx is wrong"):
        check_gradients(maximum, maximum_backward(share), X, np.where(X > 0, X, X + 1))


def test_a_dropout_mask_that_is_drawn_again_is_rejected():
    generator = np.random.default_rng(0)

    def forward(x):
        return x * (np.random.default_rng(5).random(x.shape) < 0.5), x

    def backward(dout, x):
        return dout * (generator.random(x.shape) < 0.5)

    with pytest.raises(GradientError, match="dx changes when backward is called again; it may depend on dout and the cache alone"):
        check_gradients(forward, backward, RNG.standard_normal((8, 5)))


def test_a_dropout_without_a_seed_is_told_to_fix_its_random_numbers():
    def forward(x):
        mask = np.random.default_rng().random(x.shape) < 0.5
        return x * mask, mask

    with pytest.raises(
        GradientError, match="forward gives another output on the same inputs; fix its random numbers, by a seed for example"
    ):
        check_gradients(forward, lambda dout, mask: dout * mask, RNG.standard_normal((8, 5)))


def test_a_forward_that_changes_its_input_is_rejected_though_the_values_are_right():
    def centred(x):
        x -= x.mean(axis=0)
        return x.copy(), None

    with pytest.raises(GradientError, match=r"forward changes x: x\[0, 0\] was (\S+) and is (\S+) afterwards"):
        check_gradients(centred, lambda dout, _: dout - dout.mean(axis=0), X)


def test_a_state_outside_the_cache_is_rejected():
    last = {}

    def forward(x):
        last["x"] = x.copy()
        return x**2, None

    with pytest.raises(GradientError, match="dx changes when forward has seen other data in between, as it does in a network"):
        check_gradients(forward, lambda dout, _: 2 * last["x"] * dout, X)


def test_a_backward_that_uses_up_its_cache_is_rejected():
    def backward(dout, cache):
        cache["out"] *= 1 - cache["out"]
        return dout * cache["out"]

    def forward(x):
        out = 1 / (1 + np.exp(-x))
        return out, {"out": out.copy()}

    with pytest.raises(GradientError, match="called again"):
        check_gradients(forward, backward, X)


def test_a_gradient_in_memory_that_is_used_again_is_rejected():
    memory = {}

    def backward(dout, x):
        return np.multiply(dout, 2 * x, out=memory.setdefault((x.shape, x.dtype), np.empty_like(x)))

    with pytest.raises(GradientError, match="dx is overwritten by the next call of backward; return a new array"):
        check_gradients(lambda x: (x**2, x.copy()), backward, X)


def test_a_gradient_that_is_a_part_of_the_cache_is_rejected():
    def backward(dout, dx):
        return dx if dout == 1 else dout * dx  # saves a multiplication

    with pytest.raises(GradientError, match="dx is a part of the cache: whoever changes it in place spoils the next backward pass"):
        check_gradients(lambda x: (np.sum(x**2), 2 * x), backward, X)


def test_a_gradient_of_the_wrong_scale_in_float32_only_is_rejected():
    def backward(dout, x):
        return dout * (x > 0) * x.dtype.type(1 if x.dtype == np.float64 else 1.01)

    with pytest.raises(GradientError, match=r"in float32: dx is not that of float64. dx\[\d, \d\] is \S+ instead of"):
        check_gradients(relu, backward, X)


def test_an_output_of_the_wrong_dtype_is_rejected():
    with pytest.raises(GradientError, match="in float32: the output is float64 for float32 inputs; a layer keeps the dtype"):
        check_gradients(lambda x: (x * np.full(1, 2.0), None), lambda dout, _: dout * dout.dtype.type(2), X)


def test_a_column_that_broadcasts_is_rejected():
    # b (N, 1) instead of (N,): the gradient of the column fits the column, so only its shape betrays it
    with pytest.raises(GradientError, match=r"db has shape \(3, 1\), but b has \(3,\)"):
        check_gradients(
            lambda x, b: (x + b, None),
            lambda dout, _: (dout, dout.sum(axis=0)[:, np.newaxis]),
            X,
            B[:3],
        )


def test_an_error_in_one_of_many_entries_shows_outside_the_sample():
    def backward(dout, x):
        dx = 2 * x * dout
        dx[17, 41] = 0
        return dx

    x = RNG.standard_normal((40, 60))
    with pytest.raises(
        GradientError, match="dx is wrong at an entry outside the sample: along a random direction through all 2400 entries"
    ):
        check_gradients(lambda x: (x**2, x), backward, x, max_checks=20)


def test_an_output_that_is_not_finite_is_rejected():
    x = X.copy()
    x[1, 2] = 0

    def forward(x):
        with np.errstate(divide="ignore"):
            return 1 / x, x

    with pytest.raises(GradientError, match=r"the output is not finite: out\[1, 2\] is inf"):
        check_gradients(forward, lambda dout, x: -dout / x**2, x)


def test_an_output_that_is_finite_at_the_given_point_alone_is_rejected():
    def forward(x):
        return np.where(x == X[0, 0].astype(x.dtype), x, np.inf), x

    with pytest.raises(GradientError, match=r"the output is not finite near the given point: no slope can be taken at x\[0\]"):
        check_gradients(forward, lambda dout, x: dout, X[0, :1])


@pytest.mark.parametrize(
    ("forward", "sentence"),
    [
        (lambda x: x, r"forward returns ndarray; it must return \(out, cache\)"),
        (lambda x: (x, x, x), "forward returns 3 values"),
        (lambda x: (x.tolist(), x), "forward gives list as its output"),
    ],
)
def test_a_forward_that_returns_something_else_is_rejected(forward, sentence):
    with pytest.raises(GradientError, match=sentence):
        check_gradients(forward, relu_backward, X)


# --- arguments ------------------------------------------------------------------------------------------------------------------------


def test_what_has_no_gradient_is_refused_with_the_way_to_bind_it():
    with pytest.raises(TypeError, match="y is an array of int64, which has no gradient; bind it beforehand"):
        check_gradients(softmax_loss, relu_backward, X, LABELS)
    with pytest.raises(TypeError, match="b is float"):
        check_gradients(affine, affine_backward, X, W, 1.0)


def test_an_input_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="x is not finite everywhere"):
        check_gradients(relu, relu_backward, np.array([1.0, np.nan]))


def test_no_arrays_are_refused():
    with pytest.raises(TypeError, match="no arrays were given"):
        check_gradients(relu, relu_backward)


class WithoutSignature:
    __signature__ = "of an extension function"

    def __call__(self, x):
        return relu(x)


def test_names_come_from_forward_or_from_the_caller():
    with pytest.raises(GradientError, match="darray_0 is wrong"):
        check_gradients(WithoutSignature(), lambda dout, x: -relu_backward(dout, x), X)
    with pytest.raises(GradientError, match="dw is wrong"):
        check_gradients(affine, affine_with(dw=lambda dout, x, w, dw: -dw), X, W, B)
    with pytest.raises(GradientError, match="dweight is wrong"):
        check_gradients(affine, affine_with(dw=lambda dout, x, w, dw: -dw), X, W, B, names=["x", "weight", "bias"])
    with pytest.raises(GradientError, match="darray_0 is wrong"):
        check_gradients(lambda *arrays: relu(*arrays), lambda dout, x: -relu_backward(dout, x), X)
    with pytest.raises(TypeError, match=r"1 names \(x\) were given for 3 arrays"):
        check_gradients(affine, affine_backward, X, W, B, names=["x"])
