"""When kernels are compiled, where they are kept, and that no state of the disk, of the threads or of other processes stops them."""

import os
import subprocess
import sys
import timeit

import numpy as np
import pytest

from chainrule import kernels
from chainrule.kernels import compiler

STEP = """
import numpy as np
from chainrule import kernels
kernels.on_compile(lambda name: print("compiles", name))
for dtype in {dtypes}:
    w, g = np.ones(3, dtype), np.ones(3, dtype)
    kernels.sgd(w, g, g, 0.5, 0.0, 0.0, 0.0, False, False)
    assert w.dtype == dtype and np.all(w == 0.5)
"""


def start(code, *, without=(), **variables):
    """A process of its own, in which a warning is an error."""
    environment = {name: value for name, value in os.environ.items() if name not in without} | variables
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def output(process):
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    return out


def step(*dtypes, **environment):
    return start(STEP.format(dtypes=list(dtypes)), **environment)


def test_a_kernel_is_compiled_once_and_its_name_is_told(tmp_path):
    folder = str(tmp_path)
    assert output(step("float32", NUMBA_CACHE_DIR=folder)) == "compiles sgd\n"
    assert output(step("float32", NUMBA_CACHE_DIR=folder)) == ""
    assert output(step("float32", "float64", NUMBA_CACHE_DIR=folder)) == "compiles sgd\n"
    assert output(step("float32", "float64", NUMBA_CACHE_DIR=folder, NUMBA_NUM_THREADS="1")) == ""


IMAGES = """
import numpy as np
from chainrule import kernels
kernels.on_compile(lambda name: print("compiles", name))
x, w, b = np.ones((2, 4, 8, 8), np.float32), np.ones((4, 4, 3, 3), np.float32), np.ones(4, np.float32)
for filters, groups in ((w, 1), (w[:, :1], 4)):
    out, cache = kernels.conv_direct_forward(x, filters, b, {"pad": 1, "groups": groups})
    kernels.conv_direct_backward(out, cache)
pool_param = {"pool_height": 2, "pool_width": 2, "stride": 2}
kernels.conv_relu_pool_forward(x, w, b, {"pad": 1}, pool_param)
out, cache = kernels.spatial_batchnorm_relu_forward(x, b, b, {"mode": "train"})
kernels.spatial_batchnorm_relu_backward(out, cache)
"""


def test_what_images_need_is_compiled_once(tmp_path):
    first, second = (output(start(IMAGES, NUMBA_CACHE_DIR=str(tmp_path))) for _ in range(2))
    assert "compiles backward" in first
    assert second == ""


def test_two_processes_fill_the_cache_at_once(tmp_path):
    folder = str(tmp_path)
    processes = [step(dtype, NUMBA_CACHE_DIR=folder) for dtype in ("float32", "float64", "float32", "float64")]
    for process in processes:
        output(process)
    # each variant is found, and is what it says it is
    assert output(step("float32", "float64", NUMBA_CACHE_DIR=folder)) == ""


def test_a_damaged_cache_is_filled_anew(tmp_path):
    folder = str(tmp_path)
    output(step("float32", NUMBA_CACHE_DIR=folder))
    for damage in (lambda content: content[: len(content) // 2], lambda content: b"", lambda content: b"\x80nothing" + content[::-1]):
        files = [path for pattern in ("*.nbi", "*.nbc") for path in tmp_path.rglob(pattern)]
        assert files
        for path in files:
            path.write_bytes(damage(path.read_bytes()))
        assert output(step("float32", NUMBA_CACHE_DIR=folder)) == "compiles sgd\n"
        assert output(step("float32", NUMBA_CACHE_DIR=folder)) == ""


# no path below a file can be made, not even by root
@pytest.mark.parametrize("variables", [{"HOME": "/dev/null", "XDG_CACHE_HOME": "/dev/null/cache"}, {"NUMBA_CACHE_DIR": "/dev/null/cache"}])
def test_without_a_folder_to_write_to_the_cache_is_temporary(variables, tmp_path):
    environment = {"HOME": "/dev/null", "XDG_CACHE_HOME": "/dev/null/cache", "TMPDIR": str(tmp_path)} | variables
    assert output(step("float32", **environment, without=("NUMBA_CACHE_DIR",))) == "compiles sgd\n"
    assert list(tmp_path.iterdir()) == []
    asks = "from chainrule import kernels; print(kernels.cache_is_kept())"
    assert output(start(asks, **environment, without=("NUMBA_CACHE_DIR",))) == "False\n"
    assert output(start(asks, NUMBA_CACHE_DIR=str(tmp_path))) == "True\n"


def test_without_a_home_it_works(tmp_path):
    output(step("float32", without=("HOME", "NUMBA_CACHE_DIR"), XDG_CACHE_HOME=str(tmp_path)))
    assert list(tmp_path.rglob("*.nbc"))


class FullDisk:
    """Stands for Numba's cache of a function on a disk without room."""

    def __init__(self, folder):
        self.cache_path, self.flushed = str(folder), 0

    def load_overload(self, signature, context):
        raise EOFError("ran out of input")

    def save_overload(self, signature, result):
        raise OSError(28, "No space left on device")

    def flush(self):
        self.flushed += 1
        raise OSError(28, "No space left on device")


def test_a_full_disk_costs_the_cache_only(tmp_path):
    disk = FullDisk(tmp_path)
    cache = compiler._SharedCache(disk)
    assert cache.load_overload(None, None) is None
    assert cache.save_overload(None, None) is None
    assert disk.flushed == 2


FORK = """
import os
import numpy as np
from chainrule import kernels

x = np.ones((100, 100), np.float32)
def step():
    out, cache = kernels.affine_relu_forward(x, x, x[0])
    kernels.affine_relu_backward(out, cache)
    w = np.ones(100_000, np.float32)
    kernels.sgd(w, w.copy(), w, 0.5, 0.0, 0.0, 0.0, False, False)
step()
child = os.fork()
if not child:
    step()
    os._exit(10 + kernels.threads())
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_computes_on_one_thread():
    # OpenMP would end it: "fork() called from a process already using GNU OpenMP, this is unsafe"
    process = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK], capture_output=True, text=True, check=True, timeout=120
    )
    assert (process.stdout, process.stderr) == ("11\n", "")


NEIGHBOURS = """
import os
before = dict(os.environ)
import numba, numpy as np
folder = numba.config.CACHE_DIR
from chainrule import kernels
kernels.sgd(np.ones(3), np.ones(3), np.ones(3), 0.5, 0.0, 0.0, 0.0, False, False)
assert numba.config.CACHE_DIR == folder
assert dict(os.environ) == before

@numba.njit
def product(a):
    return np.dot(a, a)

assert np.all(product(np.eye(3)) == np.eye(3))
"""


def test_other_users_of_numba_in_the_process_notice_nothing():
    output(start(NEIGHBOURS))


def test_the_number_of_threads_has_limits():
    most = compiler._available()
    for number in (0, -1, most + 1):
        with pytest.raises(ValueError, match=f"set_threads: {number} threads wanted; this process can have 1 to {most}"):
            kernels.set_threads(number)


@pytest.mark.parametrize("wanted", ["0", "-1", "abc"])
def test_a_number_of_threads_that_is_none_is_refused_by_the_name_of_the_variable(wanted):
    process = start("import chainrule.kernels", NUMBA_NUM_THREADS=wanted)
    assert f"ValueError: NUMBA_NUM_THREADS is '{wanted}'; set it to a number of threads" in process.communicate()[1]


def test_kernels_that_may_not_be_compiled_say_so():
    process = step("float32", NUMBA_DISABLE_JIT="1")
    assert "ImportError: NUMBA_DISABLE_JIT is set, and the kernels need the compiler" in process.communicate()[1]


def test_a_thread_of_python_computes_beside_another():
    code = """
import threading
import numpy as np
from chainrule import kernels
x = np.random.default_rng(0).standard_normal((100, 300)).astype(np.float32)
w = x[:, :100].T.copy()[:, :80].repeat(3, axis=0)
expected = kernels.affine_forward(x, w, w[0])[0]
results = []
def run():
    for _ in range(50):
        results.append(np.array_equal(kernels.affine_forward(x, w, w[0])[0], expected))
workers = [threading.Thread(target=run) for _ in range(3)]
for worker in workers: worker.start()
for worker in workers: worker.join()
assert results == [True] * 150
"""
    output(start(code))


def test_describe_says_what_the_kernels_run_on():
    facts = kernels.describe()
    assert list(facts) == ["numba", "vectors of", "threads", "cache"]
    assert facts["vectors of"] in ("16 bytes", "32 bytes", "64 bytes")
    assert facts["threads"].startswith(f"{kernels.threads()} of {compiler._available()} (")
    assert facts["cache"] == str(compiler.cache_folder())


def test_finding_the_compiled_code_costs_next_to_nothing():
    compiler.load("updates")
    seconds = min(timeit.repeat(lambda: compiler.load("updates"), number=1000, repeat=20)) / 1000
    assert seconds < 0.5e-6


def test_a_kernel_keeps_no_copy_of_its_arrays():
    array = np.ones(100_000)
    before = sys.getrefcount(array)
    kernels.sgd(array, array, array, 0.0, 0.0, 0.0, 0.0, False, False)
    assert sys.getrefcount(array) == before
