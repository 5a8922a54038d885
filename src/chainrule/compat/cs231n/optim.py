"""CS231n's update rules, `rule(w, dw, config=None) -> (next_w, config)`; the state is kept in the dictionary that was passed."""

from chainrule.functional import adam, rmsprop, sgd, sgd_momentum

__all__ = ["adam", "rmsprop", "sgd", "sgd_momentum"]
