"""What a tutor would try first on a network that does not learn: overfit one batch, and sweep the learning rate."""

import math

import numpy as np

__all__ = ["learning_rate_range_test", "overfit_batch"]


def overfit_batch(trainer, *, steps=500, target=0.01):
    """Train on the first batch alone, over and over: a network and a gradient that are right drive its loss to about 0.

    Parameters
    ----------
    trainer : a fresh Trainer (its parameters are changed)
    steps : updates at most
    target : stop when the loss is below

    Returns
    -------
    losses : list of float, one an update
    """
    data = trainer.training_batches()
    images, labels = next(data)
    data.close()
    losses = []
    while len(losses) < steps and (not losses or losses[-1] > target):
        losses.append(float(trainer.train_step(images, labels).loss))
    return losses


def learning_rate_range_test(trainer, *, low=1e-6, high=10.0, steps=100):
    """Raise the learning rate geometrically, one update each, until the loss explodes (Smith 2017, section 3.3).

    Parameters
    ----------
    trainer : a fresh Trainer (its parameters and the learning rate of its optimizer are changed; its schedule is not asked)
    low, high : first and last learning rate
    steps : updates at most, at least 3

    Returns
    -------
    rates, losses : lists of float; they end where the smoothed loss exceeds four times its minimum or is not finite
    suggestion : the rate at the steepest fall of the smoothed loss, over the logarithm of the rate

    Raises
    ------
    ValueError
        The loss explodes within two updates, so there is nothing to compare.
    """
    rates, losses, smoothed = [], [], []
    data = trainer.training_batches()
    for number, rate in enumerate(np.geomspace(low, high, steps)):
        batch = next(data, None)
        if batch is None:
            data = trainer.training_batches()
            batch = next(data)
        for group in trainer.optimizer.param_groups:
            group["lr"] = float(rate)
        loss = float(trainer.engine.step(*batch, lambda seeds=(trainer.seed, number): np.random.default_rng(seeds))[0])
        if not math.isfinite(loss):
            break
        rates.append(float(rate))
        losses.append(loss)
        smoothed.append(loss if not smoothed else 0.8 * smoothed[-1] + 0.2 * loss)
        if smoothed[-1] > 4 * min(smoothed):
            break
    data.close()
    if len(rates) < 3:
        raise ValueError(f"the loss explodes at once, with learning rates from {low:g}; look at the initialisation and at the images")
    fall = -np.gradient(smoothed, np.log(rates))
    return rates, losses, rates[int(np.argmax(fall))]
