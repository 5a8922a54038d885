"""Several optimizers as one: filters by one rule, the rest by another."""

__all__ = ["Chain"]


class Chain:
    """Optimizers over different parameters of one network, taking their steps together; of `chainrule.optim` or of torch.

    >>> optimizer = Chain([Muon(filters, lr=0.02), SGD(others, lr=0.1, momentum=0.9)])

    Its groups are theirs, one after another, and its state numbers the parameters accordingly.

    Parameters
    ----------
    optimizers : list of optimizers, at least one

    Raises
    ------
    ValueError
        There is none, or two have the same parameter.
    """

    def __init__(self, optimizers):
        self.optimizers = list(optimizers)
        if not self.optimizers:
            raise ValueError("Chain: the list of optimizers is empty")
        everything = [id(parameter) for group in self.param_groups for parameter in group["params"]]
        if len(set(everything)) < len(everything):
            raise ValueError("Chain: a parameter appears in two optimizers; each may be in one only")

    @property
    def param_groups(self):
        """The groups of all; their own dictionaries, so that a change of `lr` reaches them."""
        return [group for optimizer in self.optimizers for group in optimizer.param_groups]

    def zero_grad(self):
        for optimizer in self.optimizers:
            optimizer.zero_grad()

    def step(self):
        for optimizer in self.optimizers:
            optimizer.step()

    def state_dict(self):
        """As one optimizer's: {"state": {index: {name: array}}, "param_groups": [...]}."""
        state, groups, first = {}, [], 0
        for optimizer in self.optimizers:
            own = optimizer.state_dict()
            state |= {first + index: entry for index, entry in own["state"].items()}
            groups += [{**group, "params": [first + index for index in group["params"]]} for group in own["param_groups"]]
            first += sum(len(group["params"]) for group in own["param_groups"])
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict):
        """Take over what `state_dict` of an equal chain gave.

        Raises
        ------
        ValueError
            There are more or fewer groups, or a part does not fit its optimizer.
        """
        given, own = state_dict["param_groups"], self.param_groups
        if len(given) != len(own):
            raise ValueError(f"Chain: the state has {len(given)} parameter groups, these optimizers {len(own)}")
        parts, first = [], 0
        for optimizer in self.optimizers:
            groups, given = given[: len(optimizer.param_groups)], given[len(optimizer.param_groups) :]
            count = sum(len(group["params"]) for group in groups)
            numbers = iter(range(count))
            groups = [{**group, "params": [next(numbers) for _ in group["params"]]} for group in groups]
            state = {index: state_dict["state"][first + index] for index in range(count) if first + index in state_dict["state"]}
            parts.append({"state": state, "param_groups": groups})
            first += count
        for optimizer, part in zip(self.optimizers, parts, strict=True):
            optimizer.load_state_dict(part)

    def __repr__(self):
        return "\n".join(["Chain (", *map(repr, self.optimizers), ")"])
