"""What a failed check raises: both are AssertionErrors, so that a test runner shows them as failures and not as faults."""

__all__ = ["GradientError", "ParityError"]


class GradientError(AssertionError):
    """A backward pass breaks one of the rules of `check_gradients`; the message says which, where and by how much."""


class ParityError(AssertionError):
    """Two computations that should agree do not; the message names the array, the index, both values and the tolerance."""
