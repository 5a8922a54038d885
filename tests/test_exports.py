"""The public names of every module and package, and what importing them costs."""

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import chainrule

# what must not be imported here: the command line runs, and the code that Numba compiles imports Numba
LEFT_OUT = {"chainrule.__main__"}
if importlib.util.find_spec("tensorflow") is None:  # it is in an environment of its own, where `make test-tensorflow` runs these tests, too
    LEFT_OUT.add("chainrule.tensorflow")
    LEFT_OUT |= {
        f"chainrule.lab.{name}" for name in ("tensorflow_learning", "mistakes.tf_tensors", "mistakes.tf_modules", "mistakes.tf_sequential")
    }
MODULES = sorted(module.name for module in pkgutil.walk_packages(chainrule.__path__, "chainrule.") if module.name not in LEFT_OUT)
PACKAGES = [name for name in MODULES if Path(importlib.util.find_spec(name).origin).name == "__init__.py"]
HEAVY = {"numba", "torch", "tensorflow", "keras", "matplotlib", "sklearn", "pooch", "tensorboard"}


def imported_packages(code):
    """Top-level packages that `code` loads, in a fresh interpreter."""
    lines = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return set(lines.split())


@pytest.mark.parametrize("name", MODULES)
def test_names_in_all_exist_once(name):
    module = importlib.import_module(name)
    names = getattr(module, "__all__", [])
    assert len(set(names)) == len(names)
    assert [entry for entry in names if not hasattr(module, entry)] == []


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_offers_what_its_all_says_and_nothing_else(name):
    package = importlib.import_module(name)
    offered = {entry for entry, value in vars(package).items() if not entry.startswith("_") and not isinstance(value, ModuleType)}
    modules = {entry for entry in getattr(package, "__all__", ()) if isinstance(getattr(package, entry), ModuleType)}
    assert offered | modules == set(getattr(package, "__all__", ()))


@pytest.mark.parametrize("name", MODULES)
def test_every_module_begins_with_what_it_is(name):
    assert importlib.import_module(name).__doc__


@pytest.mark.parametrize(
    "module",
    ["chainrule", "chainrule.nn", "chainrule.optim", "chainrule.models", "chainrule.kernels", "chainrule.functional", "chainrule.cli.main"],
)
def test_importing_loads_nothing_heavy(module):
    assert imported_packages(f"import {module}") & HEAVY == set()


def test_functional_needs_numpy_alone():
    others = imported_packages("import chainrule.functional") - imported_packages("import numpy")
    assert {name for name in others if name not in sys.stdlib_module_names} == {"chainrule"}


WITHOUT_EITHER = """
import sys
sys.modules["torch"] = sys.modules["tensorflow"] = None  # an import of either fails
"""


def test_training_works_without_torch_and_tensorflow():
    code = """
import numpy as np
from chainrule import nn, optim
from chainrule.models import fully_connected
from chainrule.training.engine import HandEngine
model = fully_connected(nn, (1, 2, 2), 3, hidden_dims=(4,), normalization="batch", dropout=0.5)
engine = HandEngine(model, nn.CrossEntropyLoss(), optim.Adam(model.parameters()))
engine.step(np.ones((4, 1, 2, 2), np.float32), np.array([0, 1, 2, 0]), lambda: np.random.default_rng(0))
"""
    subprocess.run([sys.executable, "-c", WITHOUT_EITHER + code], check=True)


@pytest.mark.parametrize(("package", "name", "extra"), [("pytorch", "PyTorch", "torch"), ("tensorflow", "TensorFlow", "tensorflow")])
def test_what_needs_torch_or_tensorflow_says_how_to_get_it(package, name, extra):
    code = f"{WITHOUT_EITHER}import chainrule.{package}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"ImportError: this needs {name}: pip install chainrule[{extra}]" in done.stderr
