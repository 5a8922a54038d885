"""Mistakes in layer normalization."""

from chainrule.functional import layernorm_backward
from chainrule.lab.mistake import Mistake

__all__ = ["MISTAKES"]


def means_over_the_batch(dout, cache):
    dx, dgamma, dbeta = layernorm_backward(dout, cache)
    return dx, dgamma / len(dout), dbeta / len(dout)


MISTAKES = (
    Mistake(
        "layernorm_backward",
        "scale",
        "dgamma and dbeta are means over the batch; they have to be sums: the loss divided by N already",
        ("Does the loss know of every sample's share in gamma?", "dbeta = dout.sum(axis=0)"),
        means_over_the_batch,
    ),
)
