import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.nn import Parameter
from chainrule.optim.flat import ALIGNMENT, FlatGroup


def test_values_stay_and_shapes_and_memory_order_too():
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((3, 4)).T, rng.standard_normal((2, 3, 4)).transpose(1, 2, 0), rng.standard_normal(5), np.array(2.0)]
    parameters = [Parameter(array.copy(order="K")) for array in arrays]
    group = FlatGroup(parameters)
    for parameter, array in zip(parameters, arrays, strict=True):
        np.testing.assert_array_equal(parameter.data, array, strict=True)
        assert parameter.data.strides == array.strides
        assert np.shares_memory(parameter.data, group.data)


@pytest.mark.parametrize("view", [lambda x: x[::2], lambda x: x[:, ::-1], lambda x: x[1:, :-1]], ids=["strided", "reversed", "a part"])
def test_parameters_that_are_views_become_dense(view):
    parameter = Parameter(view(np.arange(30.0).reshape(5, 6)))
    expected = parameter.data.copy()
    FlatGroup([parameter])
    np.testing.assert_array_equal(parameter.data, expected)
    assert parameter.data.flags.c_contiguous


@given(
    shapes=st.lists(st.lists(st.integers(0, 5), max_size=3).map(tuple), min_size=1, max_size=5),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_every_parameter_has_its_own_aligned_memory(shapes, dtype):
    parameters = [Parameter(np.full(shape, index + 1, dtype)) for index, shape in enumerate(shapes)]
    group = FlatGroup(parameters)
    assert sum(np.count_nonzero(group.data == index + 1) for index in range(len(shapes))) == sum(p.size for p in parameters)
    assert np.count_nonzero(group.data) == sum(p.size for p in parameters), "the gaps are zeros"
    assert all(p.data.ctypes.data % ALIGNMENT == 0 for p in parameters if p.size)
    assert group.data.dtype == group.grad.dtype == dtype


def test_gradients_are_written_into_the_flat_buffer():
    parameters = [Parameter(np.zeros((4, 3)).T), Parameter(np.zeros(5))]
    group = FlatGroup(parameters)
    for parameter in parameters:
        parameter.accumulate(np.arange(parameter.size, dtype=float).reshape(parameter.shape))
        assert np.shares_memory(parameter.grad, group.grad)
    group.gather()
    for parameter in parameters:
        np.testing.assert_array_equal(parameter.grad, np.arange(parameter.size, dtype=float).reshape(parameter.shape))


def test_a_gradient_that_was_there_before_moves_along():
    parameter = Parameter(np.zeros(3))
    parameter.accumulate(np.ones(3))
    group = FlatGroup([parameter])
    np.testing.assert_array_equal(parameter.grad, 1)
    assert np.shares_memory(parameter.grad, group.grad)


def test_values_and_gradients_from_elsewhere_are_gathered():
    parameter = Parameter(np.zeros((2, 3)))
    group = FlatGroup([parameter])
    parameter.data, parameter.grad = np.ones((2, 3)), np.full((2, 3), 2.0)
    group.gather()
    np.testing.assert_array_equal(group.data[:6], 1)
    np.testing.assert_array_equal(group.grad[:6], 2)
    assert parameter.data is group.data_views[0] and parameter.grad is group.grad_views[0]


def test_one_span_where_all_have_gradients_and_the_same_count():
    parameters = [Parameter(np.zeros(3)), Parameter(np.zeros(5))]
    group, steps = FlatGroup(parameters), [4, 4]
    for parameter in parameters:
        parameter.accumulate(np.ones(parameter.shape))
    assert group.spans(steps) == [(slice(0, group.ranges[1].stop), 4)]
    assert steps == [5, 5]


def test_a_span_for_each_where_one_has_no_gradient_or_another_count():
    parameters = [Parameter(np.zeros(3)), Parameter(np.zeros(5))]
    group, steps = FlatGroup(parameters), [4, 4]
    parameters[1].accumulate(np.ones(5))
    assert group.spans(steps) == [(group.ranges[1], 4)]
    parameters[0].accumulate(np.ones(3))
    assert group.spans(steps) == [(group.ranges[0], 4), (group.ranges[1], 5)]
    assert steps == [5, 6]


def test_neighbours_with_gradients_are_one_span():
    parameters = [Parameter(np.zeros(size)) for size in (3, 5, 2, 4, 6)]
    group = FlatGroup(parameters)
    for index in (0, 1, 3, 4):
        parameters[index].accumulate(np.ones(parameters[index].shape))
    spans = [(slice(0, group.ranges[1].stop), 0), (slice(group.ranges[3].start, group.ranges[4].stop), 0)]
    assert group.spans([0, 0, 0, 0, 0]) == spans


def test_parameters_of_several_dtypes_are_refused():
    with pytest.raises(TypeError, match=r"^the parameters of one group have several dtypes \(float32, float64\); convert the model first$"):
        FlatGroup([Parameter(np.zeros(3)), Parameter(np.zeros(3, np.float32))])


@pytest.mark.parametrize("dtype", ["int64", "float16", "complex128"])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(TypeError, match=f"^the parameters are {dtype}; an optimizer needs float32 or float64$"):
        FlatGroup([Parameter(np.zeros(3, dtype))])


@pytest.mark.parametrize("change", [lambda data: data[:2], lambda data: data.astype(np.float32)], ids=["shape", "dtype"])
def test_a_model_that_changed_after_its_optimizer_was_made_is_refused(change):
    parameter = Parameter(np.zeros(3))
    group = FlatGroup([parameter])
    parameter.data = change(parameter.data)
    with pytest.raises(
        ValueError, match=r"^a parameter was float64 \(3,\) when the optimizer was made and is .* now; make the optimizer after"
    ):
        group.gather()
