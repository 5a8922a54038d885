import re

import numpy as np
import pytest

from chainrule.training.optimizer_state import join_optimizer_state, split_optimizer_state

STATE = {
    "state": {0: {"step": np.array(3.0), "exp_avg": np.arange(4.0)}, 12: {"a.b": np.ones(2)}},
    "param_groups": [{"lr": 0.1, "params": [0, 12]}],
}


def test_arrays_are_named_by_parameter_and_quantity():
    arrays, groups = split_optimizer_state(STATE)
    assert list(arrays) == ["0.step", "0.exp_avg", "12.a.b"]
    assert groups == [{"lr": 0.1, "params": [0, 12]}]


def test_joining_is_the_inverse_of_splitting():
    assert join_optimizer_state(*split_optimizer_state(STATE)) == STATE


@pytest.mark.parametrize("name", ["first.exp_avg", "3", "3.", ".exp_avg", "-1.exp_avg", ""])
def test_a_name_of_another_form_is_refused(name):
    with pytest.raises(
        ValueError, match=f"^{re.escape(repr(name))} is no name of an optimizer's array; expected the number of a parameter"
    ):
        join_optimizer_state({name: np.zeros(1)}, [])
