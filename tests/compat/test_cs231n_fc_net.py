"""CS231n's two networks as its notebooks use them: parameters set and perturbed from outside, published losses, every year's arguments."""
# ruff: noqa: NPY002 - as the notebooks, these tests seed NumPy's global generator

import pickle

import numpy as np
import pytest

from chainrule.compat.cs231n import layer_utils, layers
from chainrule.compat.cs231n.classifiers import fc_net
from chainrule.compat.cs231n.classifiers.fc_net import FullyConnectedNet, TwoLayerNet
from chainrule.compat.cs231n.gradient_check import eval_numerical_gradient

N, D, H1, H2, C = 4, 15, 20, 30, 10


def images_and_labels(seed=231):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((N, 3, 5)), rng.integers(C, size=N)


def assert_gradients(model, X, y):
    """Perturb the arrays in model.params in place, as the notebooks do, and compare with what `loss` says."""
    _, grads = model.loss(X, y)
    assert sorted(grads) == sorted(model.params)
    for name in grads:
        numerical = eval_numerical_gradient(lambda _: model.loss(X, y)[0], model.params[name], verbose=False, h=1e-5)
        # the difference errs by 2e-16 * loss / 1e-5 = 1e-10 (rounding) and by h**2 = 1e-10 times the third derivative, which a
        # normalization over four samples makes some hundred
        np.testing.assert_allclose(grads[name], numerical, rtol=1e-6, atol=3e-8, err_msg=name)


def test_a_star_import_brings_every_layer_and_both_networks():
    names = {}
    exec("from chainrule.compat.cs231n.classifiers.fc_net import *", names)
    assert names["FullyConnectedNet"] is FullyConnectedNet
    assert names["TwoLayerNet"] is TwoLayerNet
    for module in (layers, layer_utils):
        for name in module.__all__:
            assert names[name] is getattr(module, name)
    assert set(fc_net.__all__) <= set(dir(fc_net))


class TestTwoLayerNet:
    @pytest.fixture
    def published(self):
        """The notebooks' network of evenly spaced parameters, and its input (3, 5)."""
        model = TwoLayerNet(input_dim=5, hidden_dim=50, num_classes=7, weight_scale=1e-3)
        model.params["W1"] = np.linspace(-0.7, 0.3, num=250).reshape(5, 50)
        model.params["b1"] = np.linspace(-0.1, 0.9, num=50)
        model.params["W2"] = np.linspace(-0.3, 0.4, num=350).reshape(50, 7)
        model.params["b2"] = np.linspace(-0.9, 0.1, num=7)
        return model, np.linspace(-5.5, 4.5, num=15).reshape(5, 3).T

    def test_scores_and_losses_are_the_published_ones(self, published):
        model, X = published
        scores, y = model.loss(X), np.array([0, 5, 1])
        np.testing.assert_allclose(scores[[0, 2], [0, 6]], [11.53165108, 16.2846319], rtol=0, atol=5e-7)
        assert model.loss(X, y)[0] == pytest.approx(3.4702243556, abs=1e-10)
        model.reg = 1.0  # read at the call
        assert model.loss(X, y)[0] == pytest.approx(26.5948426952, abs=1e-10)

    @pytest.mark.parametrize("reg", [0.0, 0.7])
    def test_gradients_agree_with_perturbing_the_parameters_in_place(self, published, reg):
        model, X = published
        model.reg = reg
        assert_gradients(model, X, np.array([0, 5, 1]))

    def test_the_weights_have_the_given_scale_and_come_from_numpy_s_seed(self):
        np.random.seed(231)
        model = TwoLayerNet(200, 300, 10, 1e-2)
        # the deviation of 60000 draws errs by 1e-2 / sqrt(2 * 60000) = 3e-5
        assert model.params["W1"].std() == pytest.approx(1e-2, abs=2e-4)
        assert not model.params["b1"].any()
        assert not model.params["b2"].any()
        np.random.seed(231)
        np.testing.assert_array_equal(TwoLayerNet(200, 300, 10, 1e-2).params["W2"], model.params["W2"])


class TestFullyConnectedNet:
    @pytest.mark.parametrize("reg", [0, 3.14])
    @pytest.mark.parametrize("normalization", [None, "batchnorm", "layernorm"])
    @pytest.mark.parametrize("keep", [1, 0.75])
    def test_gradients_agree_with_perturbing_the_parameters_in_place(self, normalization, keep, reg):
        X, y = images_and_labels()
        np.random.seed(231)
        model = FullyConnectedNet([H1, H2], D, C, keep, normalization=normalization, reg=reg, weight_scale=5e-2, dtype=np.float64, seed=123)
        for name in ("b1", "b2"):
            model.params[name] += 0.3  # away from the kink of ReLU
        assert_gradients(model, X, y)

    def test_the_first_loss_is_that_of_guessing(self):
        X, y = images_and_labels()
        model = FullyConnectedNet([H1, H2], input_dim=D, num_classes=C, weight_scale=1e-3, dtype=np.float64)
        assert model.loss(X, y)[0] == pytest.approx(np.log(C), abs=1e-4)  # scores of 1e-3**3 * 10

    def test_the_penalty_is_half_reg_times_the_squares_of_the_weights_alone(self):
        X, y = images_and_labels()
        model = FullyConnectedNet([H1, H2], input_dim=D, num_classes=C, normalization="layernorm", weight_scale=0.1, dtype=np.float64)
        without, _ = model.loss(X, y)
        model.reg = 0.4
        squares = sum(np.sum(model.params[name] ** 2) for name in ("W1", "W2", "W3"))
        assert model.loss(X, y)[0] - without == pytest.approx(0.2 * squares, rel=1e-12)

    def test_both_years_names_of_the_keep_probability_mean_the_same(self):
        nets = [
            FullyConnectedNet([H1], D, C, dropout=0.5, seed=7),
            FullyConnectedNet([H1], D, C, dropout_keep_ratio=0.5, seed=7),
            FullyConnectedNet([H1], D, C, 0.5, seed=7),
        ]
        X, y = images_and_labels()
        for net in nets:
            net.params = nets[0].params
            assert net.use_dropout
            assert net.dropout_param == {"mode": "train", "p": 0.5, "seed": 7}
        assert len({net.loss(X, y)[0] for net in nets}) == 1
        assert not FullyConnectedNet([H1], D, C, dropout=1).use_dropout

    def test_a_seed_makes_every_call_draw_the_same_masks(self):
        X, y = images_and_labels()
        np.random.seed(0)
        seeded, unseeded = (FullyConnectedNet([50, 50], D, C, dropout=0.5, weight_scale=0.5, seed=seed) for seed in (123, None))
        assert seeded.loss(X, y)[0] == seeded.loss(X, y)[0]
        assert unseeded.loss(X, y)[0] != unseeded.loss(X, y)[0]

    def test_without_a_seed_the_masks_follow_numpy_s_generator_as_everything_else_in_the_notebooks(self):
        X, y = images_and_labels()
        model = FullyConnectedNet([50, 50], D, C, dropout=0.5, weight_scale=0.5)
        losses = []
        for _ in range(2):
            np.random.seed(231)
            losses.append(model.loss(X, y)[0])
        assert losses[0] == losses[1]

    def test_scores_without_labels_are_in_test_mode(self):
        X, y = images_and_labels()
        model = FullyConnectedNet([H1, H2], D, C, dropout=0.5, normalization="batchnorm", weight_scale=0.5)
        model.loss(X, y)
        averages = [bn_param["running_mean"].copy() for bn_param in model.bn_params]
        np.testing.assert_array_equal(model.loss(X), model.loss(X))
        for bn_param, average in zip(model.bn_params, averages, strict=True):
            assert bn_param["mode"] == "test"
            np.testing.assert_array_equal(bn_param["running_mean"], average)
        assert model.dropout_param["mode"] == "test"

    def test_everything_is_computed_in_the_given_dtype_float32_by_default(self):
        X, y = images_and_labels()
        model = FullyConnectedNet([H1, H2], D, C, dropout=0.5, normalization="batchnorm", reg=0.1)
        assert model.dtype is np.float32
        assert {array.dtype for array in model.params.values()} == {np.dtype(np.float32)}
        assert {array.dtype for array in model.loss(X, y)[1].values()} == {np.dtype(np.float32)}
        assert model.loss(X).dtype == np.float32

    def test_parameters_have_the_published_names_and_shapes(self):
        model = FullyConnectedNet([H1, H2], D, C, normalization="batchnorm")
        assert {name: array.shape for name, array in model.params.items()} == {
            "W1": (D, H1),
            "b1": (H1,),
            "gamma1": (H1,),
            "beta1": (H1,),
            "W2": (H1, H2),
            "b2": (H2,),
            "gamma2": (H2,),
            "beta2": (H2,),
            "W3": (H2, C),
            "b3": (C,),
        }
        assert model.num_layers == 3
        assert len(model.bn_params) == 2

    def test_it_can_be_pickled(self):
        X, _ = images_and_labels()
        model = FullyConnectedNet([H1], D, C, dropout=0.5, normalization="batchnorm")
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).loss(X), model.loss(X))

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"dropout": 0.5, "dropout_keep_ratio": 0.25}, "dropout=0.5 and dropout_keep_ratio=0.25 mean the same; give one"),
            ({"dropout": 0}, r"dropout_keep_ratio=0 is not in \(0, 1\]; it is the probability to keep an activation, 1 for no dropout"),
            ({"normalization": "batch"}, "normalization='batch'; expected None, 'batchnorm' or 'layernorm'"),
        ],
        ids=["both names", "nothing kept", "normalization"],
    )
    def test_arguments_that_cannot_be_meant_are_refused(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            FullyConnectedNet([H1], D, C, **arguments)


@pytest.mark.parametrize("make", [lambda: TwoLayerNet(D, H1, C), lambda: FullyConnectedNet([H1, H2], D, C)], ids=["two layers", "deep"])
class TestSaving:
    @pytest.fixture(autouse=True)
    def work_in_a_folder_of_our_own(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)

    def test_what_was_saved_is_loaded(self, make):
        X, _ = images_and_labels()
        model, other = make(), make()
        model.save("best.npy")
        assert other.load("best.npy") is True
        np.testing.assert_array_equal(other.loss(X), model.loss(X))

    def test_loading_what_is_not_there_is_false_and_changes_nothing(self, make):
        model = make()
        before = dict(model.params)
        assert model.load("nothing.npy") is False
        assert model.params == before

    def test_a_pickle_of_the_course_is_refused_and_not_executed(self, make, tmp_path):
        folder = tmp_path / "cs231n" / "saved"
        folder.mkdir(parents=True)
        np.save(folder / "best.npy", {"W1": np.zeros(2)}, allow_pickle=True)
        with pytest.raises(ValueError, match=r"best.npy.*it is a pickle, which could run code when it is read: train and save again"):
            make().load("best.npy")
