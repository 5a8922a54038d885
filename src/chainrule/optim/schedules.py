"""Learning-rate schedules with the names and arguments of torch.optim.lr_scheduler.

Each is a closed formula of the number of steps taken, so that a checkpoint needs that number alone. A "step" is whatever the caller counts;
the Trainer counts updates. They set `lr` in the optimizer's groups, and so work for torch's optimizers, too.
"""

import math

__all__ = ["CosineAnnealingLR", "ExponentialLR", "LinearLR", "OneCycleLR", "Schedule", "SequentialLR", "StepLR", "TriangularLR"]


class Schedule:
    """Sets every group's `lr` to a function of its first value and of the number of steps.

    A subclass defines `lr_at(base_lr, step)`.
    """

    def __init__(self, optimizer):
        self.optimizer = optimizer
        self.base_lrs = self.first_rates(optimizer.param_groups)
        self.last_epoch = 0  # torch's name; steps taken
        self._apply()

    def first_rates(self, groups) -> list[float]:
        """What the formula starts from: the rates of the groups before any schedule changed them (`initial_lr`, as torch stores it)."""
        return [group.setdefault("initial_lr", group["lr"]) for group in groups]

    def lr_at(self, base_lr: float, step: int) -> float:
        raise NotImplementedError

    def step(self):
        """One step on."""
        self.last_epoch += 1
        self._apply()

    def seek(self, step: int):
        """As after `step` steps: what a resumed run needs."""
        self.last_epoch = step
        self._apply()

    def get_last_lr(self) -> list[float]:
        return [group["lr"] for group in self.optimizer.param_groups]

    def _apply(self):
        for group, base_lr in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = self.lr_at(base_lr, self.last_epoch)


class StepLR(Schedule):
    """Multiply by gamma every `step_size` steps."""

    def __init__(self, optimizer, step_size, gamma=0.1):
        if step_size < 1:
            raise ValueError(f"StepLR: step_size is {step_size}; it must be at least 1")
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer)

    def lr_at(self, base_lr, step):
        return base_lr * self.gamma ** (step // self.step_size)


class ExponentialLR(Schedule):
    """Multiply by gamma every step."""

    def __init__(self, optimizer, gamma):
        self.gamma = gamma
        super().__init__(optimizer)

    def lr_at(self, base_lr, step):
        return base_lr * self.gamma**step


class CosineAnnealingLR(Schedule):
    """Half a cosine from the first rate to eta_min over T_max steps (Loshchilov & Hutter 2017, eq. 5); then up again, as in PyTorch."""

    def __init__(self, optimizer, T_max, eta_min=0.0):
        if T_max < 1:
            raise ValueError(f"CosineAnnealingLR: T_max is {T_max}; it must be at least 1")
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer)

    def lr_at(self, base_lr, step):
        return self.eta_min + (base_lr - self.eta_min) * (1 + math.cos(math.pi * step / self.T_max)) / 2


class LinearLR(Schedule):
    """A factor that goes linearly from start_factor to end_factor in total_iters steps and stays: a warm-up."""

    def __init__(self, optimizer, start_factor=1 / 3, end_factor=1.0, total_iters=5):
        if not 0 < start_factor <= 1:
            raise ValueError(f"LinearLR: start_factor is {start_factor}; it must be above 0 and at most 1")
        if not 0 <= end_factor <= 1:
            raise ValueError(f"LinearLR: end_factor is {end_factor}; it must be at least 0 and at most 1")
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer)

    def lr_at(self, base_lr, step):
        done = min(step / self.total_iters, 1.0) if self.total_iters else 1.0
        return base_lr * (self.start_factor + (self.end_factor - self.start_factor) * done)


class OneCycleLR(Schedule):
    """From max_lr / div_factor up to max_lr and down to (max_lr / div_factor) / final_div_factor, along cosines (Smith & Topin 2018).

    Momentum (SGD's, or Adam's first beta) is left alone: torch's cycle_momentum=False.

    Parameters
    ----------
    max_lr : the highest rate, a float or one a group
    total_steps : length of the cycle; the last rate stays after it
    pct_start : share of it that goes up (default 0.3)
    """

    def __init__(self, optimizer, max_lr, total_steps, *, pct_start=0.3, div_factor=25.0, final_div_factor=1e4):
        if total_steps < 1:
            raise ValueError(f"OneCycleLR: total_steps is {total_steps}; it must be at least 1")
        self.total_steps, self.pct_start = total_steps, pct_start
        self.div_factor, self.final_div_factor = div_factor, final_div_factor
        self.max_lr = max_lr
        super().__init__(optimizer)

    def first_rates(self, groups):
        return _one_a_group("OneCycleLR: max_lr", self.max_lr, groups)

    def lr_at(self, base_lr, step):
        first = base_lr / self.div_factor
        last = first / self.final_div_factor
        top, end = self.pct_start * self.total_steps - 1, self.total_steps - 1
        if step <= top:
            return _cosine(first, base_lr, step / top if top else 1.0)
        return _cosine(base_lr, last, min((step - top) / (end - top), 1.0) if end > top else 1.0)


class TriangularLR(Schedule):
    """Linearly up from the share start_factor of the rate to all of it, then linearly down to the share end_factor, which stays.

    torch has it as a SequentialLR of two LinearLR. Unlike those, each group may have an end of its own.

    Parameters
    ----------
    total_steps : steps until the end, an int or one a group
    peak : share of them that goes up, in [0, 1] (default 0: it only goes down)
    start_factor, end_factor : at least 0 (default 0)
    """

    def __init__(self, optimizer, total_steps, *, peak=0.0, start_factor=0.0, end_factor=0.0):
        self.total_steps = _one_a_group("TriangularLR: total_steps", total_steps, optimizer.param_groups)
        if min(self.total_steps) < 1:
            raise ValueError(f"TriangularLR: total_steps is {total_steps}; it must be at least 1")
        if not 0 <= peak <= 1:
            raise ValueError(f"TriangularLR: peak is {peak}; it is a share of the steps, from 0 to 1")
        if not (start_factor >= 0 and end_factor >= 0):
            raise ValueError(f"TriangularLR: start_factor is {start_factor}, end_factor {end_factor}; both must be at least 0")
        self.peak, self.start_factor, self.end_factor = peak, start_factor, end_factor
        super().__init__(optimizer)

    def _apply(self):
        for group, base_lr, total_steps in zip(self.optimizer.param_groups, self.base_lrs, self.total_steps, strict=True):
            group["lr"] = base_lr * self._factor(min(self.last_epoch / total_steps, 1.0))

    def _factor(self, done):
        """At the share `done` of the steps."""
        if done < self.peak:
            return self.start_factor + (1 - self.start_factor) * done / self.peak
        return 1 + (self.end_factor - 1) * (done - self.peak) / (1 - self.peak) if self.peak < 1 else 1.0


class SequentialLR(Schedule):
    """One schedule after another: the k-th begins, at its own step 0, where milestones[k - 1] is reached.

    Parameters
    ----------
    schedulers : schedules of the same optimizer
    milestones : steps at which the next one takes over, one fewer than schedules, increasing
    """

    def __init__(self, optimizer, schedulers, milestones):
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(f"SequentialLR: {len(schedulers)} schedules need {len(schedulers) - 1} milestones, not {len(milestones)}")
        if any(schedule.optimizer is not optimizer for schedule in schedulers):
            raise ValueError("SequentialLR: the schedules belong to different optimizers; make all of them with the same one")
        self.schedulers, self.milestones = schedulers, list(milestones)
        super().__init__(optimizer)

    def _apply(self):
        number = sum(self.last_epoch >= milestone for milestone in self.milestones)
        start = self.milestones[number - 1] if number else 0
        self.schedulers[number].seek(self.last_epoch - start)


def _one_a_group(what, value, groups) -> list:
    values = list(value) if isinstance(value, list | tuple) else [value] * len(groups)
    if len(values) != len(groups):
        raise ValueError(f"{what} has {len(values)} values for {len(groups)} groups; give one for each, or one for all")
    return values


def _cosine(start, end, share):
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
