"""The session fails where tests of real data must run and do not (tests/conftest.py)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent


def session(tmp_path, *args, required="1"):
    environment = {**os.environ, "CHAINRULE_SHARED_DATA": str(tmp_path), "CHAINRULE_REQUIRE_REAL_DATA": required}
    for name in ("CHAINRULE_DATA", "PYTEST_XDIST_WORKER"):
        environment.pop(name, None)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *args]
    return subprocess.run(command, cwd=TESTS.parent, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["alone", "with workers"])
def test_a_skipped_test_of_real_data_fails_the_session(tmp_path, workers):
    ended = session(tmp_path, "tests/data/test_loading.py", "-k", "known_statistics or second_time", *workers)
    assert ended.returncode == 1, ended.stdout
    assert "CHAINRULE_REQUIRE_REAL_DATA is set, but these were skipped: tests/data/test_loading.py::test_the_real_cifar10" in ended.stdout


def test_a_session_without_tests_of_real_data_fails(tmp_path):
    ended = session(tmp_path, "tests/training/test_history.py")
    assert ended.returncode == 1, ended.stdout
    assert "CHAINRULE_REQUIRE_REAL_DATA is set, but no test of real data ran" in ended.stdout


def test_otherwise_such_tests_are_skipped(tmp_path):
    ended = session(tmp_path, "tests/data/test_loading.py", "-k", "known_statistics", required="")
    assert ended.returncode == 0, ended.stdout
    assert "1 skipped" in ended.stdout
