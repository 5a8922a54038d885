"""The program behind the README's table runs, and its contenders compute the same training."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "training_steps.py"


@pytest.mark.parametrize("network", ["a", "b", "c"])
def test_three_contenders_train_the_same_network_and_are_compared(network):
    pytest.importorskip("torch")
    command = [sys.executable, str(PROGRAM), "--networks", network, "--rounds", "2", "--steps", "3", "--threads", "1", "--json"]
    result = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert result["threads"] == 1
    engines = result["networks"][network]
    assert list(engines) == ["hand", "torch", "numpy"]
    assert engines["hand"]["ratio"] == 1
    for row in engines.values():
        low, high = row["ratio_range"]
        assert low <= row["ratio"] <= high
        assert 0 < row["best_ms"] <= row["median_ms"]
        assert row["peak_mib"] > 10
