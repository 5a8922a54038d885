"""Processes that are forked from one that has imported what they need."""

import os
import signal
import subprocess
import sys
import time

import pytest
from tests.lab.workspaces import FORWARD, written

from chainrule.lab.checking import Servers, check_workspace
from chainrule.lab.workspace import find_workspace

FUNCTION = "layernorm_forward"


@pytest.fixture
def folder(tmp_path):
    return written(tmp_path / "work", FORWARD)


def status(folder, servers):
    (verdict,) = check_workspace(find_workspace(folder), [FUNCTION], servers=servers, seconds=5)
    return verdict.status


def edit(folder, old, new):
    file = folder / "normalization.py"
    file.write_text(file.read_text().replace(old, new))


def test_each_check_sees_the_file_as_it_is_saved_and_nothing_of_the_check_before(folder):
    with Servers() as servers:
        assert status(folder, servers) == "right"
        edit(folder, "return gamma * x_hat", "return 2 * gamma * x_hat")
        assert status(folder, servers) == "wrong"
        edit(folder, "return 2 * gamma * x_hat", "np.sqrt = None\n    return gamma * x_hat")
        assert status(folder, servers) == "error"  # it fails in its own second call
        edit(folder, "np.sqrt = None\n    ", "")
        assert status(folder, servers) == "right"


@pytest.mark.parametrize("whom", ["os.getppid()", "int(open(f'/proc/{os.getppid()}/stat').read().split(')')[1].split()[1])"])
def test_code_that_kills_the_processes_above_it_costs_no_other_check(folder, whom):
    with Servers() as servers:
        edit(folder, "    mean =", f"    import os, signal; os.kill({whom}, signal.SIGKILL); mean =")
        assert status(folder, servers) in ("right", "error")
        edit(folder, f"import os, signal; os.kill({whom}, signal.SIGKILL); ", "")
        assert status(folder, servers) == "right"


def test_nothing_runs_any_more_when_the_servers_are_closed(folder):
    edit(
        folder,
        "    mean =",
        f"    import subprocess; subprocess.Popen(['sleep', '98765']); open({str(folder.parent / 'ran')!r}, 'w')\n    mean =",
    )
    with Servers() as servers:
        assert status(folder, servers) == "right"
    assert (folder.parent / "ran").exists()
    deadline = time.monotonic() + 30
    while any("98765" in command_of(pid) for pid in filter(str.isdigit, os.listdir("/proc"))):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def command_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline") as file:
            return file.read()
    except OSError:
        return ""


def test_a_check_that_is_left_in_the_middle_ends_its_processes(folder):
    edit(folder, "    mean =", "    while True: pass\n    mean =")
    with Servers() as servers:
        verdicts = check_workspace(find_workspace(folder), servers=servers, seconds=60)
        next(verdicts)
        verdicts.close()
        started = time.monotonic()
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_code_without_an_end_and_the_files_of_its_check_end_with_the_process_that_checks_it(folder, how):
    marker, temporary = folder.parent / "pid", folder.parent / "temporary"
    temporary.mkdir()
    edit(folder, "    mean =", f"    import os; open({str(marker)!r}, 'w').write(str(os.getpid()))\n    while True: pass\n    mean =")
    command = [sys.executable, "-m", "chainrule", "lab", "check", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "TMPDIR": str(temporary)}) as process:
        while not (marker.exists() and marker.read_text()):
            time.sleep(0.05)
        assert list(temporary.iterdir())
        process.send_signal(how)
    deadline = time.monotonic() + 30
    while (command_of(marker.read_text()) or list(temporary.iterdir())) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not command_of(marker.read_text())
    assert not list(temporary.iterdir())
