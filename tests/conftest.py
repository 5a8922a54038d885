"""Settings of hypothesis for all tests, the real data that some need, and a web server that can misbehave.

No example has a deadline (the first call of a kernel compiles it), and CI sees the same examples every time.

With CHAINRULE_REQUIRE_REAL_DATA=1, which `.ci/run` sets where the data are there, a test of real data that is skipped fails the session; so
does a session without any.
"""

import hashlib
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

from chainrule.data import find_cifar10

settings.register_profile("development", deadline=None, max_examples=50)
settings.register_profile("ci", settings.get_profile("development"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "development")


@pytest.fixture(scope="session")
def shared_data():
    """The folder of real files beside the repository."""
    folder = Path(os.environ.get("CHAINRULE_SHARED_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not (folder / "unpack_cifar10.py").is_file():
        pytest.skip(f"no real data in {folder}; set CHAINRULE_SHARED_DATA")
    return folder


@pytest.fixture(scope="session")
def real_cifar10(shared_data, tmp_path_factory):
    """A folder with all 60,000 images, unpacked once for all workers, or the one that CHAINRULE_DATA names."""
    if os.environ.get("CHAINRULE_DATA") and (found := find_cifar10()) is not None:
        return found
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cifar10"
    with FileLock(f"{folder}.lock"):
        subprocess.run([sys.executable, str(shared_data / "unpack_cifar10.py"), str(folder)], check=True, capture_output=True)
    return folder / "cifar-10-batches-py"


class Server:
    """A web server on this machine that can misbehave."""

    def __init__(self):
        self.files = {}  # path -> content
        self.cut = None  # send only that many bytes of a body, then close the connection
        self.stall = threading.Event()  # while clear, wait after the bytes of `cut` instead of closing
        self.stall.set()
        self.requests = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.requests.append(self.path)
                content = server.files.get(self.path)
                if content is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: server.cut])
                self.wfile.flush()
                server.stall.wait(60)

            def log_message(self, format, *args):
                """Nothing on the screen of the tests."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def serve(self, path, name=None):
        """Offer a file; returns its checksum as `get_cifar10` takes it."""
        content = path.read_bytes()
        self.files[f"/{name or path.name}"] = content
        return {name or path.name: f"md5:{hashlib.md5(content).hexdigest()}"}

    def close(self):
        self.stall.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    yield server
    server.close()


class _RequireRealData:
    """Fails the session if a test of real data was skipped, or none ran."""

    def __init__(self):
        self.ran, self.skipped = 0, []

    def pytest_runtest_logreport(self, report):
        if "real_data" not in report.keywords:
            return
        if report.skipped:
            self.skipped.append(report.nodeid)
        elif report.when == "call":
            self.ran += 1

    def fault(self):
        if self.skipped:
            return f"CHAINRULE_REQUIRE_REAL_DATA is set, but these were skipped: {', '.join(self.skipped)}"
        return None if self.ran else "CHAINRULE_REQUIRE_REAL_DATA is set, but no test of real data ran"

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session, exitstatus):
        if self.fault() and exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        if self.fault():
            terminalreporter.write_line(self.fault(), red=True)


def pytest_configure(config):
    # the workers of xdist report to the one that started them; that one judges
    if os.environ.get("CHAINRULE_REQUIRE_REAL_DATA") == "1" and "PYTEST_XDIST_WORKER" not in os.environ:
        config.pluginmanager.register(_RequireRealData())
