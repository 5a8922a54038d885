# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false
# (Numba makes its settings and some of its functions when it is imported)
"""When and how the kernels are compiled: on first use, by Numba, kept on disk; on how many threads they run, and who hears of it."""

import atexit
import contextlib
import functools
import hashlib
import importlib
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
from filelock import FileLock

__all__ = ["cache_folder", "cache_is_kept", "describe", "load", "on_compile", "run", "set_threads", "threads", "vector_lanes"]


def _available():
    """How many threads Numba can start: NUMBA_NUM_THREADS, else one for each processor that this process may use."""
    wanted = os.environ.get("NUMBA_NUM_THREADS", "").strip()
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    if wanted:
        raise ValueError(f"NUMBA_NUM_THREADS is {wanted!r}; set it to a number of threads, 1 or more, or leave it unset")
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


SHARED = "tile", "vectors", "parallel", "closures", "elementwise"  # files of compiled/ that the others are built from

TEMPORARY = "chainrule-kernels-"  # how the name of a cache begins that goes with its process

_threads = _available()
_callbacks = []


def threads():
    """On how many threads the kernels run: as many as there are processors for this process, unless `set_threads` said otherwise."""
    return _threads


def set_threads(number):
    """Let the kernels run on `number` threads, from 1 to what NUMBA_NUM_THREADS or the processors allow. It changes no result.

    Without OpenMP (GNU/Linux has it; on macOS `pip install intel-openmp` brings it) the kernels start on one thread: Numba's own thread
    pool takes 50 times longer to wake, and ends the process when two Python threads use it at once. More threads asked for here are used
    all the same.
    """
    global _threads
    if not 1 <= number <= _available():
        raise ValueError(
            f"set_threads: {number} threads wanted; this process can have 1 to {_available()}; NUMBA_NUM_THREADS, set before it starts, "
            "changes the limit"
        )
    _threads = number
    if _numba.cache_info().currsize:
        _numba().set_num_threads(number)


def _after_fork():
    """OpenMP's threads do not survive a fork, and the child would be ended when it asks for them: it computes on one thread."""
    global _threads
    _threads = 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def on_compile(callback):
    """Have callback(name) called when a kernel begins to be compiled, which takes seconds. A kernel found in the cache is not compiled."""
    _callbacks.append(callback)


@functools.cache
def load(name):
    """The module `chainrule.kernels.compiled.<name>`. The first call imports Numba; a function is compiled when it is first called."""
    _numba()
    from numba.core import config
    from numba.core.caching import FunctionCache

    before = config.CACHE_DIR
    config.CACHE_DIR = str(cache_folder())  # read where a function is decorated: other people's functions keep their own folder
    try:
        module = importlib.import_module(f"chainrule.kernels.compiled.{name}")
    finally:
        config.CACHE_DIR = before
    for function in vars(module).values():
        if isinstance(getattr(function, "_cache", None), FunctionCache):
            function._cache = _SharedCache(function._cache)
    return module


def cache_is_kept():
    """Whether later processes find what this one compiles; False where no folder can be written to but a temporary one."""
    return not cache_folder().name.startswith(TEMPORARY)


def vector_lanes(dtype):
    """How many numbers a vector register holds."""
    return load("tile").VECTOR_BYTES // np.dtype(dtype).itemsize


def run(function, arguments, parts):
    """Call the compiled function(*arguments, parts, part) for every part, on as many threads.

    Arguments are arrays, numbers, and tuples of them.
    """
    if parts == 1:
        function(*arguments, 1, 0)
    else:
        load("parallel").start(function, arguments, parts)


@functools.cache
def cache_folder():
    """Where compiled kernels are kept: NUMBA_CACHE_DIR, else the user's cache folder; a temporary folder if that cannot be written to."""
    import platformdirs

    # Numba compiles anew when the file of a function changes; it does not look at those that the function is built from
    sources = [(Path(__file__).parent / "compiled" / f"{name}.py").read_bytes() for name in SHARED]
    version = hashlib.sha256(b"".join(sources)).hexdigest()[:12]
    candidates = [platformdirs.user_cache_path("chainrule") / "kernels"]
    if os.environ.get("NUMBA_CACHE_DIR"):
        candidates.insert(0, Path(os.environ["NUMBA_CACHE_DIR"]) / "chainrule")
    for folder in candidates:
        try:
            if folder.is_absolute() or "NUMBA_CACHE_DIR" in os.environ:  # without a home folder it would be "~" in the working directory
                (folder / version).mkdir(parents=True, exist_ok=True)
                tempfile.TemporaryFile(dir=folder / version).close()
                return folder / version
        except OSError:
            continue
    folder = tempfile.mkdtemp(prefix=TEMPORARY)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def describe():
    """What the kernels run on, for people: versions, vector registers, threads, cache."""
    numba = _numba()
    tile = load("tile")
    numba.set_num_threads(_threads)  # starts the threads; only then is the layer known
    return {
        "numba": numba.__version__,
        "vectors of": f"{tile.VECTOR_BYTES} bytes",
        "threads": f"{_threads} of {_available()} ({numba.threading_layer()})",
        "cache": str(cache_folder()),
    }


class _SharedCache:
    """Numba's cache of one function, for several processes at a time, and for any state of the disk.

    Numba replaces its files whole, but between reading the index and writing it two processes that store different variants of a function
    can give both the same file name, and one of them later runs the other's code. So the two steps happen under a lock. And nothing that is
    wrong with the files is an error for the caller: the function is compiled again.
    """

    def __init__(self, cache):
        self._cache = cache

    def load_overload(self, signature, context):
        try:
            with self._lock():
                return self._cache.load_overload(signature, context)
        except Exception:  # unpickling a damaged file can raise anything
            self._forget()
            return None

    def save_overload(self, signature, result):
        try:
            with self._lock():
                self._cache.save_overload(signature, result)
        except Exception:  # a full disk, a lock that the file system does not know, a damaged index
            self._forget()

    def _forget(self):
        with contextlib.suppress(OSError):
            self._cache.flush()

    def _lock(self):
        return FileLock(Path(self._cache.cache_path) / ".lock", timeout=60)

    def __getattr__(self, name):
        return getattr(self._cache, name)


@functools.cache
def _numba():
    """Numba, with OpenMP as its threading layer where there is one, and with our ear on its compilations."""
    import numba
    from numba.core import config, event

    if config.DISABLE_JIT:
        raise ImportError(
            "NUMBA_DISABLE_JIT is set, and the kernels need the compiler: unset it, or compute with plain NumPy (nn.namespace(REFERENCE)) "
            "or with PyTorch (--engine torch)"
        )
    if not {"NUMBA_THREADING_LAYER", "NUMBA_THREADING_LAYER_PRIORITY"} & os.environ.keys():
        config.THREADING_LAYER_PRIORITY = ["omp", "tbb", "workqueue"]
        if not _start_openmp():
            global _threads
            _threads = 1
    _leave_scipy_out()
    event.register("numba:compile", _listener(event))
    return numba


def _start_openmp():
    """Load OpenMP, with threads that soon go to sleep when there is nothing to do; False if there is none.

    By default they spin 300,000 times, which leaves no processor to the thread that prepares the next batch, or to another process: a step
    of 1 ms took 11 to 57 ms beside one. 10,000 cost nothing that can be measured.
    """
    ours = {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}.isdisjoint(os.environ)
    if ours:
        os.environ["GOMP_SPINCOUNT"] = "10000"  # read once, by the library as it is loaded
    try:
        importlib.import_module("numba.np.ufunc.omppool")
    except ImportError:
        return False
    finally:
        if ours:
            del os.environ["GOMP_SPINCOUNT"]
    return True


def _leave_scipy_out():
    """Keep Numba from importing scipy.linalg only to see that it is there, which costs 16 MB, 0.2 s, and another pool of threads.

    Numba looks for it again where a function does call np.dot or the like.
    """
    from numba.np import linalg

    look = linalg.ensure_blas
    linalg.ensure_blas = lambda: None
    try:
        arraymath = importlib.import_module("numba.np.arraymath")
    finally:
        linalg.ensure_blas = look
    arraymath.ensure_blas = look


def _listener(event):
    class Listener(event.Listener):
        """Calls the callbacks for the outermost function of ours that is compiled; those it calls are compiled within."""

        depth = 0

        def on_start(self, happening):
            function = happening.data["dispatcher"].py_func
            if self.depth == 0 and function.__module__.startswith("chainrule.kernels."):
                for callback in _callbacks:
                    callback(function.__name__)
            self.depth += 1

        def on_end(self, happening):
            self.depth -= 1

    return Listener()
