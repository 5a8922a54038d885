import types

import numpy as np
import pytest

from chainrule.compat.cs231n.gradient_check import (
    eval_numerical_gradient,
    eval_numerical_gradient_array,
    eval_numerical_gradient_blobs,
    eval_numerical_gradient_net,
    grad_check_sparse,
)

RNG = np.random.default_rng(0)
X = RNG.standard_normal((3, 4))
# errors of the difference: h**2 = 1e-10 times a third derivative of up to 6, rounding of sums near 10 by 2e-15 / 1e-5 = 2e-10
CLOSE = dict(rtol=0, atol=1e-8)


def test_the_gradient_of_a_number_is_found_and_x_restored_bit_for_bit():
    x = X.copy()
    np.testing.assert_allclose(eval_numerical_gradient(lambda x: np.sum(x**3), x, verbose=False), 3 * X**2, **CLOSE)
    np.testing.assert_array_equal(x, X)


def test_verbose_prints_every_element(capsys):
    eval_numerical_gradient(np.sum, X.copy())
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == X.size
    assert lines[5].startswith("(1, 1) ")


def test_the_array_variant_weighs_each_element_of_f_with_df():
    df = RNG.standard_normal((3, 4))
    np.testing.assert_allclose(eval_numerical_gradient_array(np.sin, X.copy(), df), np.cos(X) * df, **CLOSE)


def test_the_array_variant_allows_f_to_return_the_same_memory_each_time():
    memory = np.empty_like(X)
    np.testing.assert_allclose(
        eval_numerical_gradient_array(lambda x: np.sin(x, out=memory), X.copy(), np.ones((3, 4))), np.cos(X), **CLOSE
    )


@pytest.mark.parametrize("through_net", [False, True], ids=["blobs", "net"])
def test_blobs_are_read_and_written_by_the_function(through_net):
    a, b = (types.SimpleNamespace(vals=RNG.standard_normal((3, 4))) for _ in range(2))
    output = types.SimpleNamespace(vals=np.empty((3, 4)), diffs=RNG.standard_normal((3, 4)))

    def multiply(a, b, output):
        output.vals[...] = a.vals * b.vals

    if through_net:
        net = types.SimpleNamespace(forward=lambda: multiply(a, b, output))
        da, db = eval_numerical_gradient_net(net, (a, b), output)
    else:
        da, db = eval_numerical_gradient_blobs(multiply, (a, b), output)
    np.testing.assert_allclose(da, b.vals * output.diffs, **CLOSE)
    np.testing.assert_allclose(db, a.vals * output.diffs, **CLOSE)


@pytest.mark.parametrize(("factor", "fits"), [(1, True), (2, False)], ids=["right gradient", "planted mistake"])
def test_the_sparse_check_prints_the_error_of_each_sampled_element(capsys, factor, fits):
    x = X.copy()
    grad_check_sparse(lambda x: np.sum(x**3), x, factor * 3 * X**2, num_checks=7)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7
    assert all((float(line.rpartition(" ")[2]) < 1e-4) == fits for line in lines)
    np.testing.assert_array_equal(x, X)
