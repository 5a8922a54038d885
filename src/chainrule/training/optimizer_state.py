"""An optimizer's state as a checkpoint stores it: arrays in one file, settings in another."""

__all__ = ["join_optimizer_state", "split_optimizer_state"]


def split_optimizer_state(state_dict):
    """An optimizer's state_dict as arrays by name ("3.exp_avg": of parameter 3) and settings of the groups, for two kinds of file."""
    arrays = {f"{index}.{name}": array for index, entry in state_dict["state"].items() for name, array in entry.items()}
    return arrays, state_dict["param_groups"]


def join_optimizer_state(arrays, param_groups):
    """The inverse of `split_optimizer_state`.

    Raises
    ------
    ValueError
        A name is not of that form.
    """
    state = {}
    for key, array in arrays.items():
        index, _, name = key.partition(".")
        if not index.isdecimal() or not name:
            raise ValueError(f"{key!r} is no name of an optimizer's array; expected the number of a parameter and a name, as 3.exp_avg")
        state.setdefault(int(index), {})[name] = array
    return {"state": state, "param_groups": param_groups}
