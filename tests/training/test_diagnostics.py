import numpy as np
import pytest

from chainrule import optim
from chainrule.training import TrainingDiverged, learning_rate_range_test, overfit_batch


def test_a_right_network_learns_one_batch_by_heart(make_trainer):
    losses = overfit_batch(make_trainer(lr=0.05))
    assert losses[-1] <= 0.01 < losses[0]
    assert len(losses) < 500


def test_it_gives_up_after_the_steps_it_was_given(make_trainer):
    assert len(overfit_batch(make_trainer(lr=1e-9), steps=7)) == 7


def test_the_range_test_sweeps_the_rate_and_stops_where_the_loss_explodes(make_trainer, network):
    model = network()
    trainer = make_trainer(model=model, optimizer=optim.SGD(model.parameters(), lr=1))
    rates, losses, suggestion = learning_rate_range_test(trainer, low=1e-4, high=1e6, steps=100)
    assert rates[0] == pytest.approx(1e-4)
    np.testing.assert_allclose(np.diff(np.log(rates)), np.log(1e10) / 99, rtol=1e-9)
    assert rates[-1] < 1e6  # it stopped on the way
    assert len(losses) == len(rates)
    assert np.isfinite(losses).all()
    assert 1e-3 < suggestion < 10  # a network with batch norm on inputs of unit variance


def test_a_loss_that_explodes_at_once_gives_no_suggestion(make_trainer, network):
    model = network()
    model[5].weight.data[...] = np.inf
    with pytest.raises(ValueError, match="the loss explodes at once, with learning rates from 1e-06; look at the initialisation"):
        learning_rate_range_test(make_trainer(model=model))


def test_an_overfit_that_diverges_says_so(make_trainer, network):
    model = network()
    model[5].weight.data[...] = np.nan
    with pytest.raises(TrainingDiverged, match="the loss became nan at step 1"):
        overfit_batch(make_trainer(model=model))
