import shutil

import numpy as np
import pytest
import torch

from chainrule.pytorch import TorchEngine, optim
from chainrule.pytorch.devices import DTYPES

ADAM = ("Adam", {"lr": 0.01})


def test_both_engines_have_the_same_methods_and_dtype(twin_engines):
    for dtype in ("float32", "float64"):
        ours, torchs = twin_engines(*ADAM, dtype=dtype)
        assert ours.dtype == torchs.dtype == np.dtype(dtype)
        public = [
            {name for name in dir(engine) if not name.startswith("_") and callable(getattr(engine, name))} for engine in (ours, torchs)
        ]
        assert public[0] == public[1]


def test_a_step_returns_the_loss_before_the_update_and_the_scores(twin_engines, batches):
    (batch,) = batches(1)
    for engine in twin_engines(*ADAM):
        expected_loss, expected_scores = engine.evaluate(batch.images, batch.labels)  # no norm, no dropout: eval mode computes the same
        loss, scores = engine.step(batch.images, batch.labels, batch.rng)
        assert type(loss) is float and loss == pytest.approx(expected_loss, rel=1e-12)
        np.testing.assert_allclose(scores, expected_scores, rtol=1e-12, atol=1e-14)
        assert engine.evaluate(batch.images, batch.labels)[0] < loss


@pytest.mark.parametrize("clip_norm", [0.1, 100.0])
def test_clipping_is_the_same_in_both(twin_engines, batches, clip_norm):
    ours, torchs = twin_engines("SGD", {"lr": 0.5}, clip_norm=clip_norm)
    for batch in batches(5):
        for engine in (ours, torchs):
            engine.step(batch.images, batch.labels, batch.rng)
    for name, array in ours.model_state().items():
        # five steps of sums of at most 24 terms
        np.testing.assert_allclose(array, torchs.model_state()[name], rtol=1e-11, atol=1e-13, err_msg=name)


def test_evaluating_changes_nothing(twin_engines, batches):
    (batch,) = batches(1)
    for engine in twin_engines(*ADAM, normalization="batch", dropout=0.5):
        before = {name: array.copy() for name, array in engine.model_state().items()}
        first, second = (engine.evaluate(batch.images, batch.labels) for _ in range(2))
        assert first[0] == second[0]
        for name, array in engine.model_state().items():
            np.testing.assert_array_equal(array, before[name])


def test_masks_come_from_the_given_generator(twin_engines, batches):
    (batch,) = batches(1)
    for engine in twin_engines("SGD", {"lr": 0.0}, dropout=0.5):
        first, second = (engine.step(batch.images, batch.labels, batch.rng)[0] for _ in range(2))
        other = engine.step(batch.images, batch.labels, lambda: np.random.default_rng(77))[0]
        assert first == second != other


def test_without_dropout_no_generator_is_made(twin_engines, batches):
    (batch,) = batches(1)
    for engine in twin_engines(*ADAM):
        engine.step(batch.images, batch.labels, rng=None)


@pytest.mark.parametrize(
    "optimizer", [ADAM, ("SGD", {"lr": 0.1, "momentum": 0.9}), ("SGD", {"lr": 0.1}), ("Adagrad", {"lr": 0.1})], ids=str
)
@pytest.mark.parametrize(
    "direction", [(0, 1), (1, 0), (0, 0), (1, 1)], ids=["ours to torch", "torch to ours", "ours to ours", "torch to torch"]
)
def test_a_run_begun_in_one_engine_goes_on_in_the_other(twin_engines, batches, optimizer, direction):
    options = {"normalization": "batch", "hidden_dims": (9, 7)}
    source, uninterrupted = twin_engines(*optimizer, **options)[direction[0]], twin_engines(*optimizer, **options)[0]
    target = twin_engines(*optimizer, **options)[direction[1]]
    data = batches(20)
    for batch in data[:10]:
        source.step(batch.images, batch.labels, batch.rng)
    target.load_model_state(source.model_state())
    target.load_optimizer_state(source.optimizer_state())
    losses = [target.step(batch.images, batch.labels, batch.rng)[0] for batch in data[10:]]
    expected = [uninterrupted.step(batch.images, batch.labels, batch.rng)[0] for batch in data]
    # as in test_parity_of_training
    np.testing.assert_allclose(losses, expected[10:], rtol=1e-10)


def test_states_are_arrays_that_the_next_step_leaves_alone(twin_engines, batches):
    first, second = batches(2)
    _, torchs = twin_engines(*ADAM)
    torchs.step(first.images, first.labels, first.rng)
    states = torchs.model_state(), torchs.optimizer_state()["state"][0]
    copies = [{name: array.copy() for name, array in state.items()} for state in states]
    torchs.step(second.images, second.labels, second.rng)
    for state, copy in zip(states, copies, strict=True):
        assert all(isinstance(array, np.ndarray) for array in state.values())
        for name, array in state.items():
            np.testing.assert_array_equal(array, copy[name])


def test_a_state_of_another_network_is_refused_with_the_key(twin_engines):
    for engine in twin_engines(*ADAM, hidden_dims=(7,)):
        other = twin_engines(*ADAM, hidden_dims=(8,))[0].model_state()
        with pytest.raises(ValueError, match=r"1\.weight"):
            engine.load_model_state(other)


def test_an_optimizer_state_of_another_size_is_refused(twin_engines):
    for engine in twin_engines(*ADAM, hidden_dims=(7,)):
        other = twin_engines(*ADAM, hidden_dims=(7, 7))[0].optimizer_state()
        with pytest.raises(ValueError):
            engine.load_optimizer_state(other)


@pytest.mark.parametrize("parts", [2, 3, 16])
def test_a_batch_in_parts_gives_the_step_of_the_whole(torch_engine, batches, parts):
    whole, divided = torch_engine(), torch_engine(accumulate=parts)
    for batch in batches(5):
        expected_loss, expected_scores = whole.step(batch.images, batch.labels, batch.rng)
        loss, scores = divided.step(batch.images, batch.labels, batch.rng)
        assert loss == pytest.approx(expected_loss, rel=1e-12)
        np.testing.assert_allclose(scores, expected_scores, rtol=1e-11, atol=1e-13)  # as for clipping


@pytest.mark.parametrize("amp", ["bf16", "fp16"])
def test_mixed_precision_computes_with_fewer_digits_and_keeps_all_of_the_weights(torch_engine, batches, amp):
    exact, mixed = torch_engine(dtype="float32"), torch_engine(dtype="float32", amp=amp, clip_norm=10.0)
    for batch in batches(20, "float32"):
        losses = [engine.step(batch.images, batch.labels, batch.rng)[0] for engine in (exact, mixed)]
        assert losses[1] == pytest.approx(losses[0], rel=0.05)  # bf16 has 8 bits, and the difference grows with the updates
    assert losses[1] != losses[0]
    assert all(array.dtype == np.float32 for array in mixed.model_state().values())
    assert mixed.evaluate(batch.images, batch.labels)[1].dtype == np.float32


def test_compiling_without_a_compiler_is_refused(torch_engine, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(ValueError, match=r"torch\.compile needs a C\+\+ compiler on the CPU, and there is none"):
        torch_engine(compile=True)


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, ("g++", "clang++"))), reason="no C++ compiler")
@pytest.mark.filterwarnings(r"ignore:`torch\.jit:DeprecationWarning")  # of its own code
def test_a_compiled_network_takes_the_same_steps(torch_engine, batches):
    plain, compiled = torch_engine(), torch_engine(compile=True)
    for batch in batches(5):
        expected, loss = (engine.step(batch.images, batch.labels, batch.rng)[0] for engine in (plain, compiled))
        assert loss == pytest.approx(expected, rel=1e-10)
    for name, array in plain.model_state().items():
        np.testing.assert_allclose(compiled.model_state()[name], array, rtol=1e-9, atol=1e-12, err_msg=name)


def test_fp16_leaves_out_an_update_whose_gradient_overflows(torch_engine, batches):
    (batch,) = batches(1, "float32")
    engine = torch_engine(dtype="float32", amp="fp16")
    before = {name: array.copy() for name, array in engine.model_state().items()}
    engine.step(1e4 * batch.images, batch.labels, batch.rng)
    for name, array in engine.model_state().items():
        np.testing.assert_array_equal(array, before[name])
    for _ in range(20):  # until the loss is scaled less
        engine.step(batch.images, batch.labels, batch.rng)
    assert any((array != before[name]).any() for name, array in engine.model_state().items())


def test_what_fp16_scales_the_loss_by_goes_with_the_optimizers_state(torch_engine, batches):
    (batch,) = batches(1, "float32")
    engine, other = (torch_engine(dtype="float32", amp="fp16") for _ in range(2))
    engine.step(1e4 * batch.images, batch.labels, batch.rng)  # overflows, so the scale is halved
    state = engine.optimizer_state()
    assert state["param_groups"][0]["loss_scale"] == 2**15
    other.load_optimizer_state(state)
    assert other.optimizer_state()["param_groups"][0]["loss_scale"] == 2**15
    plain = torch_engine(dtype="float32")
    plain.load_optimizer_state(state)
    assert "loss_scale" not in plain.optimizer_state()["param_groups"][0]


def test_torchs_global_generator_is_untouched(twin_engines, batches):
    (batch,) = batches(1)
    _, torchs = twin_engines(*ADAM, dropout=0.5)
    before = torch.get_rng_state()
    torchs.step(batch.images, batch.labels, batch.rng)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("options", [{}, {"accumulate": 3}, {"amp": "bf16", "dtype": "float32"}], ids=str)
def test_an_engine_that_defers_gives_the_same_numbers_as_tensors(torch_engine, batches, options):
    """As on a GPU, which the CPU stands in for."""
    waiting, deferring = torch_engine(**options), torch_engine(**options)
    assert not waiting.defers
    deferring.defers = True
    for batch in batches(3, options.get("dtype", "float64")):
        (loss, scores), (later, tensor) = (engine.step(batch.images, batch.labels, batch.rng) for engine in (waiting, deferring))
        assert isinstance(later, torch.Tensor) and isinstance(tensor, torch.Tensor)
        assert float(later) == loss
        np.testing.assert_array_equal(tensor.float() if options.get("amp") else tensor, scores)
        assert int(deferring.count_right(tensor, torch.from_numpy(batch.labels))) == waiting.count_right(scores, batch.labels)


@pytest.mark.parametrize("amp", ["bf16", "fp16"])
def test_mixed_precision_holds_for_the_products_of_muon(amp):
    filters = torch.nn.Conv2d(16, 32, 3, bias=False)
    network = torch.nn.Sequential(filters, torch.nn.Flatten())
    optimizer = optim.Muon(network.parameters(), lr=1.0, weight_decay=0.0, nesterov=False)
    engine = TorchEngine(network, torch.nn.CrossEntropyLoss(), optimizer, amp=amp)
    torch.nn.init.zeros_(filters.weight)
    products = set()

    class Products(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            if func is torch.addmm:
                products.add(out.dtype)
            return out

    rng = np.random.default_rng(0)
    with Products():
        engine.step(rng.standard_normal((8, 16, 3, 3)).astype(np.float32), rng.integers(32, size=8), None)
    assert products == {DTYPES[amp]}
    moved = filters.weight.detach()
    assert moved.dtype == torch.float32
    # eight images: eight directions; the iteration leaves singular values between 0.7 and 1.2, and 8 bits err by some hundredths of that
    sizes = torch.linalg.svdvals(moved.flatten(1))[:7]
    assert sizes.min() > 0.6 and sizes.max() < 1.3
