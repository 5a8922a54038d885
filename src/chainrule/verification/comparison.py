"""How far two arrays are apart, without the traps of broadcasting and NaN."""

import numpy as np

__all__ = ["entry", "first_index", "greatest_index", "magnitude", "relative_error", "rounding_tolerance"]


def relative_error(x, y) -> float:
    """Greatest relative difference, CS231n's `rel_error`: max |x - y| / max(1e-8, |x| + |y|), between 0 and 1 or infinite.

    Differs from CS231n where that hides mistakes: shapes must be equal (there (1, D) against (D,) broadcasts, and gives 0) and a NaN gives
    infinity (there NaN, for which `error > 1e-6` is false). Empty arrays give 0 (there NumPy raises).

    Parameters
    ----------
    x, y : arrays or numbers of equal shape; compared in float64

    Returns
    -------
    float : 0 for equal arrays; 1 where the signs differ or one of the two is 0; inf where either is NaN, or infinite unlike the other

    Raises
    ------
    ValueError : the shapes differ
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.shape != y.shape:
        raise ValueError(f"relative_error: shapes {x.shape} and {y.shape} differ; they must be equal, nothing is broadcast")
    finite = np.isfinite(x) & np.isfinite(y)
    if not np.array_equal(x[~finite], y[~finite]):  # NaN equals nothing, not even NaN
        return float("inf")
    x, y = x[finite] / 2, y[finite] / 2  # halves, for |x| + |y| may overflow
    return float(np.max(np.abs(x - y) / np.maximum(0.5e-8, np.abs(x) + np.abs(y)), initial=0.0))


def magnitude(array) -> float:
    """Greatest absolute value; 0 for an empty array."""
    return float(np.max(np.abs(array), initial=0.0))


def rounding_tolerance(dtype, longest_sum: int = 1) -> float:
    """Relative error to expect of a sum in `dtype`: unit roundoff times the root of the number of terms, times ten.

    Rounding errors have random signs, so n of them grow like sqrt(n) (Higham, Accuracy and Stability of Numerical Algorithms, section 2.8);
    ten covers the constant.
    """
    unit_roundoff = float(np.finfo(dtype).eps) / 2
    return 10 * unit_roundoff * float(np.sqrt(max(longest_sum, 1)))


def entry(name: str, index: tuple[int, ...]) -> str:
    """`dw[2, 0]`, or `dw` alone where it has no axes."""
    return f"{name}[{', '.join(map(str, index))}]" if index else name


def first_index(mask) -> tuple[int, ...]:
    """Index of the first True."""
    return tuple(int(i) for i in np.argwhere(mask)[0])


def greatest_index(array) -> tuple[int, ...]:
    """Index of the greatest entry; of the first NaN if there is one."""
    return tuple(int(i) for i in np.unravel_index(np.argmax(array), np.shape(array)))
