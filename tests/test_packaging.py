"""What the source imports is what pyproject.toml says it needs: another package's dependency is nobody's promise."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# a kernel is made of llvmlite's types, which Numba brings in the version that it needs
BROUGHT_ALONG = {"llvmlite": "numba"}


def distribution(requirement):
    return re.match(r"[\w.-]+", requirement).group().lower().replace("_", "-")


def imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.partition(".")[0]


PROVIDERS = packages_distributions()
REQUIRED = {distribution(requirement) for requirement in PROJECT["dependencies"]}
OPTIONAL = {
    distribution(entry)
    for extra in ("torch", "onnx", "tensorboard", "tensorflow", "tune", "explore", "lab", "pdf")
    for entry in PROJECT["optional-dependencies"][extra]
}


NOTEBOOKS = ROOT / "src" / "chainrule" / "lab" / "texts"  # they import what learners write
SOURCES = sorted(path for path in (ROOT / "src").rglob("*.py") if path.parent != NOTEBOOKS)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_every_import_is_declared(path):
    names = set(imported(path)) - set(sys.stdlib_module_names) - {"chainrule"}
    for name in names:
        candidates = {distribution(provider) for provider in PROVIDERS.get(name, [name])}
        candidates |= {BROUGHT_ALONG[name]} if name in BROUGHT_ALONG else set()
        assert candidates & (REQUIRED | OPTIONAL), f"{name} is imported but pyproject.toml does not require it"


def test_every_required_package_is_imported():
    names = {name for path in SOURCES for name in imported(path)}
    provided = {distribution(provider) for name in names for provider in PROVIDERS.get(name, [])}
    assert provided >= REQUIRED


DATA_FILES = sorted(
    path for path in (ROOT / "src" / "chainrule").rglob("*") if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".py"
)


@pytest.mark.parametrize("path", DATA_FILES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_what_the_package_reads_at_run_time_goes_into_the_wheel(path):
    # hatchling takes everything in the package's folder, except what git ignores
    assert "src/chainrule" in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    ignored = subprocess.run(["git", "check-ignore", "--quiet", path], cwd=ROOT, check=False)
    assert ignored.returncode == 1


def test_the_names_of_imagenets_classes_are_among_it():
    assert ROOT / "src" / "chainrule" / "weights" / "imagenet_classes.txt" in DATA_FILES
