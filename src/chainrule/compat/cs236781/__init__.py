"""CS236781's package `hw2` (homework 2): layers, optimizers and trainers on torch tensors, the arithmetic chainrule.functional's; networks
of torch.nn's modules, and the experiments with them."""

import chainrule.pytorch  # noqa: F401 - where PyTorch is missing, this says what to do
