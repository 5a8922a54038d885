import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from chainrule.functional.geometry import Geometry
from chainrule.functional.windows import padded, window


def test_padding_is_top_bottom_left_right():
    x = np.arange(1.0, 7).reshape(1, 1, 2, 3)
    np.testing.assert_array_equal(
        padded(x, (1, 0, 0, 2))[0, 0],
        [[0, 0, 0, 0, 0], [1, 2, 3, 0, 0], [4, 5, 6, 0, 0]],
    )


@given(place=st.integers(0, 5), stride=st.integers(1, 3), before=st.integers(0, 3), kernel=st.integers(1, 4), dilation=st.integers(1, 3))
def test_a_window_is_the_points_that_lie_in_the_image(place, stride, before, kernel, dilation):
    geometry = Geometry((kernel, 1), (stride, 1), (0, 0, 0, 0), (dilation, 1), 1, (6, 1))
    length = 7
    points = [place * stride - before + k * dilation for k in range(kernel)]
    inside = [point for point in points if 0 <= point < length]
    if not inside:  # the geometry of a pooling excludes it
        return
    rows, columns = window(geometry, place, 0, (length, 1), before=(before, 0))
    assert list(range(length))[rows] == inside
    assert list(range(1))[columns] == [0]
