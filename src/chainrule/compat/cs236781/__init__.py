"""CS236781's package `hw2` (homework 2, parts 1 and 2): torch tensors in and out, the arithmetic chainrule.functional's."""

import chainrule.pytorch  # noqa: F401 - where PyTorch is missing, this says what to do
