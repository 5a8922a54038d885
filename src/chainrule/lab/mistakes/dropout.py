"""Mistakes in dropout."""

import numpy as np

from chainrule.functional import dropout_backward, dropout_forward
from chainrule.lab.mistake import Mistake

__all__ = ["MISTAKES"]


def uniform(dropout_param, shape):
    """Random numbers in [0, 1), the same ones for the same seed."""
    return np.random.default_rng(dropout_param.get("seed")).random(shape)


def forward(x, dropout_param, *, mask=None, out=None, test=None, draw=uniform):
    """`dropout_forward` with another mask, a function of the random numbers and p; other outputs; other random numbers."""
    p = dropout_param["p"]
    if dropout_param["mode"] == "test":
        return (x if test is None else test(x, dropout_param)), (dropout_param, None)
    random = draw(dropout_param, x.shape)
    factors = (random < p) / p if mask is None else mask(random, p)
    return (x * factors if out is None else out(x, factors)), (dropout_param, np.broadcast_to(factors, x.shape))


def in_place(x, dropout_param):
    out, cache = dropout_forward(x, dropout_param)
    if cache[1] is not None:
        x *= cache[1]
    return out, cache


def modes_swapped(x, dropout_param):
    return forward(x, dropout_param | {"mode": "train" if dropout_param["mode"] == "test" else "test"})


def never(x, dropout_param):
    return x, (dropout_param, None)


def backward(dout, cache, *, train=None, test=None):
    """`dropout_backward` with another product, a function of dout, the mask and p; in mode 'test' of dout and p."""
    dropout_param, mask = cache
    if mask is None:
        return dout if test is None else test(dout, dropout_param["p"])
    return dout * mask if train is None else train(dout, mask, dropout_param["p"])


def modifies_dout(dout, cache):
    dx = dropout_backward(dout, cache).copy()
    dout[...] = dx
    return dx


def caching(what):
    """The right forward pass, which leaves something else of (x, out) in place of the mask."""

    def also(x, dropout_param):
        out, (_, mask) = dropout_forward(x, dropout_param)
        return out, (dropout_param, None if mask is None else what(x, out))

    return {"dropout_forward": also}


def catalogue(function, *entries):
    return tuple(Mistake(function, *entry) for entry in entries)


FORWARD = catalogue(
    "dropout_forward",
    (
        "scale",
        "what is kept is not divided by p, so that the mean of out is p times that of x; mode 'test' would see larger numbers",
        ("What is the mean of out, if x is all ones and p = 0.5?", "mask = (np.random.rand(*x.shape) < p) / p"),
        lambda x, dropout_param: forward(x, dropout_param, mask=lambda random, p: random < p),
    ),
    (
        "wrong-statistic",
        "p is taken for the probability to drop an element; it is the probability to keep one",
        ("How many elements are left for p = 0.9?", "Keep where a random number is below p, and divide by p."),
        lambda x, dropout_param: forward(x, dropout_param, mask=lambda random, p: (random > p) / np.float64(1 - p)),
    ),
    (
        "scale",
        "what is kept is divided by 1 - p; it is divided by p, the probability to keep it",
        ("What is the mean of out, if x is all ones and p = 0.9?", "mask = (np.random.rand(*x.shape) < p) / p"),
        lambda x, dropout_param: forward(x, dropout_param, mask=lambda random, p: (random < p) / np.float64(1 - p)),
    ),
    (
        "wrong-statistic",
        "the comparison is the wrong way round: elements are kept with probability 1 - p; those below p are to be kept",
        ("How often is a uniform random number greater than 0.9?", "np.random.rand(*x.shape) < p"),
        lambda x, dropout_param: forward(x, dropout_param, mask=lambda random, p: (random > p) / p),
    ),
    (
        "scale",
        "what is kept is multiplied by p; it has to be divided by it, so that the mean stays",
        ("What is the mean of out, if x is all ones and p = 0.5?", "mask = (np.random.rand(*x.shape) < p) / p"),
        lambda x, dropout_param: forward(x, dropout_param, mask=lambda random, p: (random < p) * p),
    ),
    (
        "scale",
        "what is kept is divided by p twice; once keeps the mean",
        ("What is the mean of out, if x is all ones and p = 0.5?", "Is the mask divided by p, and then out once more?"),
        lambda x, dropout_param: forward(x, dropout_param, mask=lambda random, p: (random < p) / p**2),
    ),
    (
        "mode",
        "this is dropout as in the paper's main part, which scales by p in mode 'test'; inverted dropout divides by p in mode 'train' "
        "and does nothing in mode 'test'",
        ("Which of the two modes should cost nothing?", "Divide by p in mode 'train'; return x in mode 'test'."),
        lambda x, dropout_param: forward(x, dropout_param, mask=lambda random, p: random < p, test=lambda x, param: x * param["p"]),
    ),
    (
        "mode",
        "in mode 'test' x is multiplied by p, though mode 'train' divided by p already; out is x there",
        ("Where is the mean of out made equal to that of x?", "Return x in mode 'test'."),
        lambda x, dropout_param: forward(x, dropout_param, test=lambda x, param: x * param["p"]),
    ),
    (
        "mode",
        "in mode 'test' x is divided by p; nothing was dropped there, so that out is x",
        ("What is the mean of out in mode 'test'?", "Return x in mode 'test'."),
        lambda x, dropout_param: forward(x, dropout_param, test=lambda x, param: x / param["p"]),
    ),
    (
        "mode",
        "the modes are swapped: elements are dropped in mode 'test' and not in mode 'train'",
        ("When should the network use all it has learned?", 'Drop where dropout_param["mode"] == "train".'),
        modes_swapped,
    ),
    (
        "mode",
        "nothing is ever dropped; mode 'train' has to set elements to 0 at random",
        ("What does the mode ask for?", "Multiply x by a mask of zeros and 1 / p."),
        never,
    ),
    (
        "mode",
        "in mode 'test' out is 0 everywhere; it is x",
        ("Is out set in both branches?", "Return x in mode 'test'."),
        lambda x, dropout_param: forward(x, dropout_param, test=lambda x, param: np.zeros_like(x)),
    ),
    (
        "mode",
        "elements are dropped in mode 'test', too; out is x there",
        ("Should the same image get other scores every time?", "Look at dropout_param[\"mode\"] first; return x in mode 'test'."),
        lambda x, dropout_param: forward(x, dropout_param | {"mode": "train"}),
    ),
    (
        "broadcasting",
        "one mask is used for all samples: every sample loses the same elements; the mask has the shape of x",
        ("What is the shape of your random numbers?", "np.random.rand(*x.shape)"),
        lambda x, dropout_param: forward(x, dropout_param, draw=lambda param, shape: uniform(param, shape[1:])),
    ),
    (
        "broadcasting",
        "whole samples are dropped: there is one random number for each of them; the mask has the shape of x",
        ("What is the shape of your random numbers?", "np.random.rand(*x.shape)"),
        lambda x, dropout_param: forward(x, dropout_param, draw=lambda param, shape: uniform(param, (shape[0],) + (1,) * (len(shape) - 1))),
    ),
    (
        "wrong-statistic",
        "the random numbers are normal ones (randn); they have to be uniform in [0, 1) for a share of p to lie below p",
        ("How often is a standard normal number less than 0.5?", "np.random.rand, without the n"),
        lambda x, dropout_param: forward(
            x,
            dropout_param,
            mask=lambda random, p: (random < p) / p,
            draw=lambda param, shape: np.random.default_rng(param.get("seed")).standard_normal(shape),
        ),
    ),
    (
        "missing-term",
        "x is multiplied by the random numbers themselves; they have to be compared with p, to keep or to drop",
        ("Which values may the mask have? Two.", "mask = (np.random.rand(*x.shape) < p) / p"),
        lambda x, dropout_param: forward(x, dropout_param, mask=lambda random, p: random / p),
    ),
    (
        "wrong-statistic",
        "half of the elements are dropped, whatever p is",
        ("Where does p enter, besides in the division?", "Compare the random numbers with p."),
        lambda x, dropout_param: forward(x, dropout_param, mask=lambda random, p: (random < 0.5) / p),
    ),
    (
        "state",
        "dropout_param's seed is not used: two calls with the same seed drop different elements",
        ("How could a numerical gradient be taken, if every call drops something else?", 'np.random.seed(dropout_param["seed"])'),
        lambda x, dropout_param: forward(x, {name: value for name, value in dropout_param.items() if name != "seed"}),
    ),
    (
        "state",
        "the seed 0 is taken for none: test whether there is a seed, not whether it is true",
        ("What is bool(0)?", 'if "seed" in dropout_param, or `is not None`'),
        lambda x, dropout_param: forward(x, {name: value for name, value in dropout_param.items() if name != "seed" or value}),
    ),
    (
        "state",
        "every call draws the same mask, with or without a seed; without one each call has to draw a new mask",
        ("Is there a fixed seed in your function?", "Seed only where dropout_param has a seed."),
        lambda x, dropout_param: forward(x, dropout_param | {"seed": 0}),
    ),
    (
        "state",
        "the same mask is drawn in every call without a seed",
        ("What is the seed, where dropout_param has none?", "Seed only where dropout_param has a seed."),
        lambda x, dropout_param: forward(x, {"seed": 231} | dropout_param),
    ),
    (
        "mutation",
        "modifies x in mode 'train'; whoever called it may still need x: make a new array",
        ("Which of your statements writes into x? Augmented ones such as *= do.", "out = x * mask"),
        in_place,
    ),
    (
        "missing-term",
        "out is the mask; it has to be x times the mask",
        ("Where does x enter out?", "out = x * mask"),
        lambda x, dropout_param: forward(x, dropout_param, out=lambda x, mask: np.asarray(mask, x.dtype)),
    ),
    (
        "dtype",
        "out is an array of float16; it has to keep the dtype of x",
        ("Where do you convert?", "Leave out astype, or give it x.dtype."),
        lambda x, dropout_param: forward(x, dropout_param, out=lambda x, mask: (x * mask).astype(np.float16)),
    ),
)

BACKWARD = catalogue(
    "dropout_backward",
    (
        "missing-term",
        "dx is dout: the gradient passes where elements were dropped, too; it has to be multiplied by the mask of the forward pass",
        ("By how much does out change with an element that was dropped?", "dx = dout * mask"),
        lambda dout, cache: backward(dout, cache, train=lambda dout, mask, p: dout.copy()),
    ),
    (
        "cache",
        "a new mask is drawn; the gradient passes where the forward pass kept elements, so that its mask has to be in the cache",
        ("Which elements did the forward pass keep?", "Put the mask into the cache, and use it."),
        lambda dout, cache: backward(dout, cache, train=lambda dout, mask, p: dout * (np.random.default_rng().random(dout.shape) < p) / p),
    ),
    (
        "scale",
        "dx lacks the factor 1 / p: out is x * mask / p, and so is dx of dout",
        ("What is the derivative of out with respect to x, where x was kept?", "Is 1 / p in the mask that the cache has?"),
        lambda dout, cache: backward(dout, cache, train=lambda dout, mask, p: dout * (mask != 0)),
    ),
    (
        "scale",
        "dx is divided by p twice; the mask in the cache is divided by it already",
        ("What is the derivative of out with respect to x, where x was kept?", "dx = dout * mask, if the mask is 0 or 1 / p"),
        lambda dout, cache: backward(dout, cache, train=lambda dout, mask, p: dout * mask / p),
    ),
    (
        "scale",
        "dx is multiplied by p; where an element was kept, the derivative is 1 / p",
        ("What is the derivative of out with respect to x, where x was kept?", "out = x / p there"),
        lambda dout, cache: backward(dout, cache, train=lambda dout, mask, p: dout * (mask != 0) * p),
    ),
    (
        "scale",
        "dx is divided by 1 - p; the forward pass divided by p",
        ("What is the derivative of out with respect to x, where x was kept?", "out = x / p there"),
        lambda dout, cache: backward(dout, cache, train=lambda dout, mask, p: dout * (mask != 0) / np.float64(1 - p)),
    ),
    (
        "cache",
        "the gradient passes where elements were dropped, and not where they were kept: the mask is the wrong way round",
        ("By how much does out change with an element that was dropped?", "dx = dout * mask"),
        lambda dout, cache: backward(dout, cache, train=lambda dout, mask, p: dout * (mask == 0) / p),
    ),
    (
        "missing-term",
        "dx is the mask; it has to be dout times the mask",
        ("Where does dout enter dx?", "dx = dout * mask"),
        lambda dout, cache: backward(dout, cache, train=lambda dout, mask, p: mask.copy()),
    ),
    (
        "cache",
        "dx is dout times out, not times the mask: the cache holds x * mask where the mask belongs",
        ("What is the derivative of x * mask with respect to x?", "Put the mask into the cache."),
        dropout_backward,
        caching(lambda x, out: out),
    ),
    (
        "cache",
        "dx is dout times x, not times the mask: the cache holds x where the mask belongs",
        ("What is the derivative of x * mask with respect to x?", "Put the mask into the cache."),
        dropout_backward,
        caching(lambda x, out: x),
    ),
    (
        "mode",
        "after a forward pass in mode 'test' dx is multiplied by p; out was x, so that dx is dout",
        ("What was out in mode 'test'?", "Return dout there."),
        lambda dout, cache: backward(dout, cache, test=lambda dout, p: dout * p),
    ),
    (
        "mode",
        "after a forward pass in mode 'test' dx is divided by p; out was x, so that dx is dout",
        ("What was out in mode 'test'?", "Return dout there."),
        lambda dout, cache: backward(dout, cache, test=lambda dout, p: dout / p),
    ),
    (
        "mode",
        "after a forward pass in mode 'test' dx is 0; out was x, so that dx is dout",
        ("What was out in mode 'test'?", "Return dout there."),
        lambda dout, cache: backward(dout, cache, test=lambda dout, p: np.zeros_like(dout)),
    ),
    (
        "mode",
        "after a forward pass in mode 'test' elements of dx are dropped; out was x, so that dx is dout",
        ("Was anything dropped in mode 'test'?", "Keep the mode in the cache, and return dout there."),
        lambda dout, cache: backward(dout, cache, test=lambda dout, p: dout * (uniform({}, dout.shape) < p) / p),
    ),
    (
        "mutation",
        "modifies dout; whoever called it may still need dout: make a new array",
        ("Which of your statements writes into dout? Augmented ones such as *= do.", "dx = dout * mask"),
        modifies_dout,
    ),
)

MISTAKES = (*FORWARD, *BACKWARD)
