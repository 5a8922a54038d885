"""Probes of dropout. What is random is seen from afar, where every generator gives the same: which values, what share, which pattern."""

import numpy as np

from chainrule.lab.probing import ContractError, Probe, pair, results

__all__ = ["PROBES"]


def array(*shape, seed=0, dtype: type = np.float64):
    """Numbers away from 0, so that a 0 in the output is an element that was dropped."""
    rng = np.random.default_rng(seed)
    return (rng.uniform(1, 2, shape) * rng.choice([-1, 1], shape)).astype(dtype)


def forward(functions, x, **dropout_param):
    """out and cache, out of the right shape."""
    out, cache = pair("dropout_forward", functions.dropout_forward(x.copy(), dropout_param))
    if np.shape(out) != x.shape:
        raise ContractError(f"out has shape {np.shape(out)}; expected that of x, {x.shape}")
    return np.array(out), cache


def ratio(above, below):
    return np.asarray(above, np.float64) / below


def values(x, p, mode="train"):
    def observed(functions):
        out, _ = forward(functions, x, p=p, mode=mode)
        factors = np.unique(ratio(out, x).round(5))
        two = len(factors) <= 2
        return {
            "the number of different out / x": min(len(factors), 3),  # from 3 on it is chance how many, and which
            "the largest out / x": factors[-1] if two else np.nan,
            "the smallest out / x": factors[0] if two else np.nan,
            "precision of out in bits": 8 * min(out.itemsize, x.itemsize),
        }

    return observed


def pattern(x, p):
    """What is dropped, of many elements: the share to one digit is the same with all but certainty (seven standard deviations)."""

    def observed(functions):
        kept = forward(functions, x, p=p, mode="train")[0] != 0
        rows = kept.reshape(len(kept), -1)
        alike, whole = bool(np.all(rows == rows[0])), bool(np.all(rows == rows[:, :1]))
        return {
            "the same elements dropped in every sample": alike,
            "whole samples dropped": whole,
            "the share that is kept, to one digit": p if alike or whole else round(float(kept.mean()), 1),  # chance, of so few
        }

    return observed


def repeated(x, first, second):
    """Whether two calls drop the same."""

    def observed(functions):
        out, again = (forward(functions, x, p=0.5, mode="train", **param)[0] for param in (first, second))
        return {"dropped elements in another place": bool(np.any((out == 0) != (again == 0)))}

    return observed


def passed_back(x, p, mode="train"):
    def observed(functions):
        out, cache = forward(functions, x, p=p, mode=mode)
        dout = array(*x.shape, seed=9, dtype=x.dtype)
        dx, twice = (np.array(results("dropout_backward", functions.dropout_backward(k * dout, cache), "dx")["dx"]) for k in (1, 2))
        if dx.shape != x.shape:
            raise ContractError(f"dx has shape {dx.shape}; expected that of x, {x.shape}")
        factors = ratio(dx, dout).round(5)
        inside = np.unique(factors[out != 0])
        return {
            "dx where elements were dropped": bool(np.any(dx[out == 0])),
            "0 in dx where elements were kept": bool(np.any(inside == 0)),
            "different dx / dout where elements were kept": bool(inside[0] != inside[-1]),
            "dx / dout where elements were kept": inside[-1] if len(inside) <= 2 else np.nan,
            "another dx than 2 dx for 2 dout": bool(np.any(twice != 2 * dx)),
            "precision of dx in bits": 8 * min(dx.itemsize, x.itemsize),
        }

    return observed


def sizes(p):
    return {"p": p, "1 - p": 1 - p}


def of_train_mode(observed):
    """So many samples and features that one of them is kept and one dropped even where whole rows or columns are."""
    return (
        Probe("30 samples of 30 features, p = 0.5", observed(array(30, 30), 0.5), sizes(0.5)),
        Probe("100 samples of 100 features, p = 0.8", observed(array(100, 100, seed=1), 0.8), sizes(0.8)),
        Probe("80 samples of 70 features, p = 0.3", observed(array(80, 70, seed=2), 0.3), sizes(0.3)),
        Probe("images of 3 channels, p = 0.6", observed(array(60, 3, 6, 5, seed=3), 0.6), sizes(0.6)),
        Probe("float32, p = 0.4", observed(array(60, 60, seed=4, dtype=np.float32), 0.4), sizes(0.4), "in float32", "dtype"),
    )


def where_nothing_is_dropped(observed):
    return (
        Probe("40 elements in mode 'test'", observed(array(4, 10), 0.5, "test"), sizes(0.5), "in mode 'test'", "mode"),
        Probe("images in mode 'test'", observed(array(5, 3, 4, 6, seed=5), 0.3, "test"), sizes(0.3), "in mode 'test'", "mode"),
        Probe("4,000 elements, p = 1", observed(array(40, 100, seed=6), 1), {}, "for p = 1, where nothing is dropped"),
    )


PROBES = {
    "dropout_forward": (
        *of_train_mode(values),
        *where_nothing_is_dropped(values),
        *(
            Probe(f"what is dropped of {title}, p = {p}", pattern(x, p), sizes(p))
            for title, x, p in (
                ("40 samples of 100 features", array(40, 100, seed=1), 0.8),
                ("50 samples of 80 features", array(50, 80, seed=2), 0.3),
                ("60 images of 3 channels", array(60, 3, 6, 5, seed=3), 0.6),
            )
        ),
        Probe("twice without a seed", repeated(array(30, 30), {}, {}), {}, "without a seed", "state"),
        Probe("twice with the same seed", repeated(array(30, 30), {"seed": 5}, {"seed": 5}), {}, "with a seed", "state"),
        Probe("twice with seed 0", repeated(array(30, 30), {"seed": 0}, {"seed": 0}), {}, "with the seed 0", "state"),
        Probe("with two seeds", repeated(array(30, 30), {"seed": 5}, {"seed": 6}), {}, "with a seed", "state"),
    ),
    "dropout_backward": (*of_train_mode(passed_back), *where_nothing_is_dropped(passed_back)),
}
