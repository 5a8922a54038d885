import numpy as np
import pytest

from chainrule import nn
from chainrule.benchmarks import account, steps


def test_the_operations_of_a_step_are_those_of_its_products():
    # 3072 - 200 - 10: forward, dx and dw of the second layer; forward and dw of the first
    operations, _ = account.demand(steps.hand_engine("a"), 200)
    assert operations == 2 * 200 * (2 * 3072 * 200 + 3 * 200 * 10)


def test_winograds_convolutions_count_a_quarter():
    x, out = np.zeros((16, 64, 32, 32), np.float32), np.zeros((16, 64, 32, 32), np.float32)
    direct = 2 * out.size * 64 * 9
    assert account._products(nn.Conv2d(64, 64, 3, padding=1), x, out) == direct / 4
    assert account._products(nn.Conv2d(64, 64, 3, padding=2, dilation=2), x, out) == direct


def test_traffic_grows_with_the_batch():
    engine = steps.hand_engine("resnet")
    few, many = (account.demand(engine, batch)[1] for batch in (2, 4))
    assert few < many < 2 * few


def test_the_machine_is_measured():
    assert account.peak_gflops(1, 20_000) > 0.1
    assert account.bandwidth(1, 1 << 16) > 0.01


def test_an_account_is_made_in_a_process():
    row = account.run("a", threads=2, seconds=0.0)
    assert row["step_ms"] > 0
    assert row["peak_gflops"] > 0
    assert row["arithmetic_ms"] == pytest.approx(row["gflop"] / row["peak_gflops"] * 1000)
