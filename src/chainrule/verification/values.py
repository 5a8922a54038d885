"""The values of gradients against central differences, with a tolerance from the step, the rounding and the size of the gradient."""

from dataclasses import dataclass

import numpy as np

from chainrule.verification.comparison import entry, magnitude
from chainrule.verification.diagnosis import likely_mistake
from chainrule.verification.numerical import default_step
from chainrule.verification.slopes import slope

__all__ = ["ArrayReport", "compare_values", "rounded_anew"]

# A central difference with the step eps**(1/3) errs by 4e-11 where value, slope and curvature are of one size; 1e-7 leaves room for a third
# derivative 3000 times the slope. What rounding adds is counted apart (`Slope.rounding`).
TOLERANCE = 1e-7
# Where curvature is stronger still, or a kink is near, smaller steps decide. At the last one rounding is 64 times what it was at the first.
REFINEMENTS = (8, 64)


@dataclass(frozen=True)
class ArrayReport:
    """How well one gradient agrees with central differences.

    Attributes
    ----------
    name : of the gradient, "dx"
    shape : of the array
    checked : number of entries compared
    error : greatest difference, relative to the greatest entry of the gradient (plus what rounding alone can do to one that is zero)
    tolerance : greatest error that passes
    """

    name: str
    shape: tuple[int, ...]
    checked: int
    error: float
    tolerance: float


def compare_values(subject, arrays, out, dout, grads, rng, max_checks):
    """Compare every gradient with central differences: all entries, or a sample of them and the slope in one direction through all."""
    noise = noise_of(subject.output, arrays, out, rng)
    probes = [Probe(subject, arrays, out, noise, dout, position) for position in range(len(arrays))]
    # all are measured before any is judged: a wrong gradient may be that of another array
    measured = [probe.sample(rng, max_checks) for probe in probes]
    reports = []
    for position, (name, grad, probe) in enumerate(zip(subject.names, grads, probes, strict=True)):
        error = worst_error(subject, arrays, grads, measured, position, probe)
        if len(measured[position]) < grad.size:
            error = max(error, compare_direction(subject, name, grad, probe, rng))
        reports.append(ArrayReport(f"d{name}", grad.shape, len(measured[position]), error, TOLERANCE))
    return reports


def noise_of(output, arrays, out, rng):
    """By how much outputs may be off in float64: by their own rounding, and by what they move when every input is rounded anew.

    Ill-conditioned functions suffer from the second, such as a normalization of numbers whose mean is far greater than their spread.
    """
    eps = float(np.finfo(np.float64).eps)
    return eps * max(magnitude(out), eps) + sum(np.abs(output(again) - out) for again in rounded_anew(arrays, rng))


def rounded_anew(arrays, rng):
    """The arrays with a relative error of the machine epsilon in every entry, of random sign; thrice, for one may do no harm by chance."""

    def off(array):
        return array * np.finfo(array.dtype).eps * rng.choice((-1, 1), array.shape).astype(array.dtype)

    return [[array + off(array) for array in arrays] for _ in range(3)]


class Probe:
    """Measures slopes of sum(output * dout) with respect to one of the arrays."""

    def __init__(self, subject, arrays, out, noise, dout, position):
        self.subject, self.array, self.name = subject, arrays[position], subject.names[position]
        self.output = lambda: subject.output(arrays)
        self.out, self.noise, self.dout = out, noise, dout
        self.steps = default_step(self.array)

    def sample(self, rng, max_checks):
        """The slopes at all entries, or at `max_checks` of them, by index."""
        size, shape = self.array.size, self.array.shape
        flat = range(size) if size <= max_checks else np.sort(rng.permutation(size)[:max_checks])
        indices = [tuple(map(int, np.unravel_index(i, shape))) for i in flat]
        return {index: self.at(index) for index in indices}

    def at(self, index, refinement=1):
        return self.measure(index, 1.0, self.steps[index] / refinement)

    def measure(self, where, direction, step):
        found = slope(self.output, self.out, self.noise, self.dout, self.array, where, direction, step)
        if not np.isfinite(found.central):
            place = self.name if where is ... else entry(self.name, where)
            self.subject.fail(f"the output is not finite near the given point: no slope can be taken at {place}")
        return found


def worst_error(subject, arrays, grads, measured, position, probe):
    """The greatest error among the entries that were measured; raises where one is beyond the tolerance and smaller steps confirm it."""
    grad, slopes = grads[position], measured[position]
    scale = magnitude([found.central for found in slopes.values()])
    errors = {index: error_of(grad[index], found, scale) for index, found in slopes.items()}
    worst = 0.0
    for index in sorted(errors, key=errors.__getitem__, reverse=True):
        error, found = refined(lambda refinement, index=index: probe.at(index, refinement), grad[index], scale, slopes[index])
        if error > TOLERANCE:
            wrong = sum(error > TOLERANCE for error in errors.values())
            fail_at(subject, arrays, grads, measured, position, index, found, scale, wrong)
        worst = max(worst, error)
        if errors[index] <= TOLERANCE:
            break  # the rest are smaller still
    return worst


def compare_direction(subject, name, grad, probe, rng):
    """The slope along one random direction through all entries: an error in any of them shows, though not where."""
    direction = rng.uniform(-1, 1, grad.shape)
    expected = float(np.sum(grad * direction))
    scale = float(np.sqrt(np.sum((grad * direction) ** 2)))
    step = float(default_step(np.zeros(())))
    first = probe.measure(..., direction, step)
    error, found = refined(lambda refinement: probe.measure(..., direction, step / refinement), expected, scale, first)
    if error > TOLERANCE:
        subject.fail(
            f"d{name} is wrong at an entry outside the sample: along a random direction through all {grad.size} entries the slope "
            f"is {found.central:.9g} by central differences and {expected:.9g} by d{name}, a difference of "
            f"{abs(found.central - expected):.3g}; {TOLERANCE * room(scale, found):.3g} is allowed. Raise max_checks to find the entry"
        )
    return error


def room(scale, found):
    """What differences are relative to: the greatest slope of the array, or what is left in sight of rounding where that is zero."""
    return scale + found.rounding / TOLERANCE + float(np.finfo(np.float64).tiny)  # never 0, even without outputs


def refined(measure, gradient, scale, found):
    """Least error of `gradient` over ever smaller steps, from what was found with the first, and the slope that it was found with.

    Strong curvature goes away with the step. A kink, as relu's at 0, stays: any value between the slopes of its sides is right.
    """
    best, slope_at_best = error_of(gradient, found, scale), found
    for refinement in REFINEMENTS:
        if best <= TOLERANCE:
            break
        found = measure(refinement)
        distance = max(found.low - gradient, gradient - found.high, 0.0) if refinement == REFINEMENTS[-1] else np.inf
        error = min(error_of(gradient, found, scale), float(distance / room(scale, found)))
        if error < best:
            best, slope_at_best = error, found
    return best, slope_at_best


def error_of(gradient, found, scale):
    return float(abs(gradient - found.central) / room(scale, found))


def fail_at(subject, arrays, grads, measured, position, index, found, scale, wrong):
    """Raise with the likely cause, the index, both values, their difference and what is allowed."""
    numerical = []
    for array, slopes in zip(arrays, measured, strict=True):
        values = np.full(array.shape, np.nan)
        for place, at_place in slopes.items():
            values[place] = at_place.central
        numerical.append(values)
    others = {f"d{name}": values for i, (name, values) in enumerate(zip(subject.names, numerical, strict=True)) if i != position}
    batch_size = arrays[0].shape[0] if arrays[0].ndim else 1
    hint = likely_mistake(grads[position], numerical[position], batch_size=batch_size, others=others)
    name, value = f"d{subject.names[position]}", grads[position][index]
    subject.fail(
        f"{name} is wrong{': ' if hint else ''}{hint}. "
        f"{entry(name, index)} is {value:.9g}, central differences give {found.central:.9g}: "
        f"a difference of {abs(value - found.central):.3g}, the greatest of {wrong} among {len(measured[position])} entries checked; "
        f"{TOLERANCE * room(scale, found):.3g} is allowed, which is {TOLERANCE:g} of the greatest slope, {scale:.3g}, and rounding"
    )
