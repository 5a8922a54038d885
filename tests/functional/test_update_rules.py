import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from chainrule.functional import adam, rmsprop, sgd, sgd_momentum

RULES = {"sgd": sgd, "sgd_momentum": sgd_momentum, "rmsprop": rmsprop, "adam": adam}
every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)

# Input and results of the course's own checks (CS231n assignment 2), published with eight decimals.
W, DW = np.linspace(-0.4, 0.6, 20).reshape(4, 5), np.linspace(-0.6, 0.4, 20).reshape(4, 5)
PUBLISHED = {
    "sgd_momentum": (
        {"learning_rate": 1e-3, "velocity": np.linspace(0.6, 0.9, 20).reshape(4, 5)},
        [
            [0.1406, 0.20738947, 0.27417895, 0.34096842, 0.40775789],
            [0.47454737, 0.54133684, 0.60812632, 0.67491579, 0.74170526],
            [0.80849474, 0.87528421, 0.94207368, 1.00886316, 1.07565263],
            [1.14244211, 1.20923158, 1.27602105, 1.34281053, 1.4096],
        ],
        {
            "velocity": [
                [0.5406, 0.55475789, 0.56891579, 0.58307368, 0.59723158],
                [0.61138947, 0.62554737, 0.63970526, 0.65386316, 0.66802105],
                [0.68217895, 0.69633684, 0.71049474, 0.72465263, 0.73881053],
                [0.75296842, 0.76712632, 0.78128421, 0.79544211, 0.8096],
            ]
        },
    ),
    "rmsprop": (
        {"learning_rate": 1e-2, "cache": np.linspace(0.6, 0.9, 20).reshape(4, 5)},
        [
            [-0.39223849, -0.34037513, -0.28849239, -0.23659121, -0.18467247],
            [-0.132737, -0.08078555, -0.02881884, 0.02316247, 0.07515774],
            [0.12716641, 0.17918792, 0.23122175, 0.28326742, 0.33532447],
            [0.38739248, 0.43947102, 0.49155973, 0.54365823, 0.59576619],
        ],
        {
            "cache": [
                [0.5976, 0.6126277, 0.6277108, 0.64284931, 0.65804321],
                [0.67329252, 0.68859723, 0.70395734, 0.71937285, 0.73484377],
                [0.75037008, 0.7659518, 0.78158892, 0.79728144, 0.81302936],
                [0.82883269, 0.84469141, 0.86060554, 0.87657507, 0.8926],
            ]
        },
    ),
    "adam": (
        {"learning_rate": 1e-2, "m": np.linspace(0.6, 0.9, 20).reshape(4, 5), "v": np.linspace(0.7, 0.5, 20).reshape(4, 5), "t": 5},
        [
            [-0.40094747, -0.34836187, -0.29577703, -0.24319299, -0.19060977],
            [-0.1380274, -0.08544591, -0.03286534, 0.01971428, 0.0722929],
            [0.1248705, 0.17744702, 0.23002243, 0.28259667, 0.33516969],
            [0.38774145, 0.44031188, 0.49288093, 0.54544852, 0.59801459],
        ],
        {
            "v": [
                [0.69966, 0.68908382, 0.67851319, 0.66794809, 0.65738853],
                [0.64683452, 0.63628604, 0.6257431, 0.61520571, 0.60467385],
                [0.59414753, 0.58362676, 0.57311152, 0.56260183, 0.55209767],
                [0.54159906, 0.53110598, 0.52061845, 0.51013645, 0.49966],
            ],
            "m": [
                [0.48, 0.49947368, 0.51894737, 0.53842105, 0.55789474],
                [0.57736842, 0.59684211, 0.61631579, 0.63578947, 0.65526316],
                [0.67473684, 0.69421053, 0.71368421, 0.73315789, 0.75263158],
                [0.77210526, 0.79157895, 0.81105263, 0.83052632, 0.85],
            ],
        },
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_gives_the_numbers_published_in_the_course(name):
    config, expected_next_w, expected_state = PUBLISHED[name]
    config = dict(config)
    next_w, _ = RULES[name](W, DW, config=config)
    np.testing.assert_allclose(next_w, expected_next_w, rtol=0, atol=5.1e-9)
    for key, expected in expected_state.items():  # read from the dictionary that was passed, as the notebooks do
        np.testing.assert_allclose(config[key], expected, rtol=0, atol=5.1e-9, err_msg=key)


@pytest.mark.parametrize(
    ("rule", "optimizer", "settings"),
    [
        (sgd, "SGD", {"lr": 1e-2}),
        (sgd_momentum, "SGD", {"lr": 1e-2, "momentum": 0.9}),
        (rmsprop, "RMSprop", {"lr": 1e-2, "alpha": 0.99, "eps": 1e-8}),
        (adam, "Adam", {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8}),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_twenty_steps_with_the_defaults_agree_with_torch(rule, optimizer, settings, dtype):
    torch = pytest.importorskip("torch", reason="PyTorch is the reference here")
    rng = np.random.default_rng(0)
    w, config = rng.standard_normal((4, 5)).astype(dtype), None
    parameter = torch.from_numpy(w.copy())
    reference = getattr(torch.optim, optimizer)([parameter], **settings)
    for _ in range(20):
        dw = rng.standard_normal((4, 5)).astype(dtype)
        w, config = rule(w, dw, config)
        parameter.grad = torch.from_numpy(dw)
        reference.step()
    assert w.dtype == dtype
    # twenty steps, each rounded a few times, on parameters up to 4
    np.testing.assert_allclose(w, parameter.numpy(), rtol=0, atol=20 * 10 * np.finfo(dtype).eps)


@every_rule
@given(shape=array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4), dtype=st.sampled_from([np.float32, np.float64]))
def test_keeps_shape_and_dtype_and_changes_neither_w_nor_dw_nor_old_state(rule, shape, dtype, random_array):
    rng = np.random.default_rng(0)
    w, dw = (np.asarray(random_array(rng, shape, dtype)) for _ in range(2))  # read-only
    config = {"learning_rate": np.float64(1e-2)}  # a float64 of NumPy's would widen float32
    first, returned = rule(w, dw, config)
    assert returned is config
    state = {key: value for key, value in config.items() if isinstance(value, np.ndarray)}
    for array in state.values():
        array.setflags(write=False)
    second, _ = rule(first, dw, config)
    for array in (first, second, *state.values()):
        assert array.shape == shape and array.dtype == dtype
    for key, array in state.items():
        assert config[key] is not array


@every_rule
def test_without_a_config_starts_with_the_defaults(rule):
    next_w, config = rule(W, DW)
    again, _ = rule(W, DW, {})
    np.testing.assert_array_equal(next_w, again)
    assert config["learning_rate"] == (1e-3 if rule is adam else 1e-2)


@every_rule
def test_steps_downhill_from_zero_state(rule):
    next_w, _ = rule(W, DW)
    np.testing.assert_array_equal(np.sign(next_w - W), -np.sign(DW))


@pytest.mark.parametrize("rule", [rmsprop, adam])
@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_the_size_of_the_gradient_does_not_matter_to_the_adaptive_rules(rule, factor):
    next_w, _ = rule(W, DW, {"epsilon": 0.0})
    scaled, _ = rule(W, factor * DW, {"epsilon": 0.0})
    np.testing.assert_allclose(scaled, next_w, rtol=0, atol=1e-15)


def test_the_first_step_of_adam_has_the_length_of_the_learning_rate():
    next_w, config = adam(W, DW, {"learning_rate": 0.1, "epsilon": 0.0})
    np.testing.assert_allclose(np.abs(next_w - W), 0.1, rtol=1e-14)
    assert config["t"] == 1


def test_momentum_zero_is_plain_gradient_descent():
    np.testing.assert_allclose(sgd_momentum(W, DW, {"momentum": 0.0})[0], sgd(W, DW)[0], rtol=0, atol=1e-16)


def test_under_a_constant_gradient_the_velocity_approaches_the_learning_rate_over_one_minus_momentum():
    w, config = W, {"learning_rate": 0.1, "momentum": 0.9}
    for _ in range(400):  # 0.9**400 is 5e-19
        w, config = sgd_momentum(w, DW, config)
    np.testing.assert_allclose(config["velocity"], -0.1 * DW / (1 - 0.9), rtol=1e-14)


@every_rule
@pytest.mark.parametrize("shape", [(5,), (1, 5), (4, 1), (), (5, 4)])
def test_refuses_a_gradient_of_another_shape(rule, shape):
    with pytest.raises(ValueError, match=re.escape(f"{rule.__name__}: dw has shape {shape}; expected (4, 5), the shape of w")):
        rule(W, np.ones(shape))


@pytest.mark.parametrize(("rule", "key"), [(sgd_momentum, "velocity"), (rmsprop, "cache"), (adam, "m"), (adam, "v")])
def test_refuses_state_of_another_shape(rule, key):
    with pytest.raises(ValueError, match=re.escape(f"{rule.__name__}: config['{key}'] has shape (5,); expected (4, 5), the shape of w")):
        rule(W, DW, {key: np.ones(5)})
