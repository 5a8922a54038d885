import os
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest


@pytest.fixture
def explorer(trained, tmp_path):
    """The command as a process of its own, which has said its address."""
    command = [sys.executable, "-m", "chainrule", "explore", "--network", "fc", "--port", "0", "--no-browser"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_it_says_its_address_answers_there_and_ends_quietly_on_ctrl_c(explorer):
    address = explorer.stdout.readline().split()[0]
    assert address.startswith("http://127.0.0.1:")
    with urllib.request.urlopen(address, timeout=30) as page:
        assert b"<title>chainrule explore</title>" in page.read()
    explorer.send_signal(signal.SIGINT)
    assert explorer.communicate(timeout=30) == ("", "")
    assert explorer.returncode == 130


def test_a_port_that_is_taken_is_one_clear_line(chainrule, trained):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = chainrule("explore", "--network", "fc", "--port", port)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == f"error: port {port} is taken; name another with --port, or --port 0 for any that is free\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--network", "fcc"], "error: no network is called 'fcc': "),
        (["--weights", "none.pth"], "error: none.pth: no such file or directory\n"),
        (["--network", "fc", "--weights", "any.pth"], "error: weights from a file are for "),
    ],
)
def test_what_cannot_be_opened_is_said_before_anything_is_served(chainrule, trained, options, message):
    ended = chainrule("explore", "--no-browser", *options)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(message)
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize("package", ["starlette", "uvicorn"])
def test_without_its_extra_it_says_what_to_install(package):
    code = f"import sys; sys.modules[{package!r}] = None; from chainrule.cli.main import main; sys.argv = ['chainrule', 'explore']; main()"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "CHAINRULE_TRACEBACK": ""})
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "error: this needs Starlette and uvicorn: pip install chainrule[explore]\n"
