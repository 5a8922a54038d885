"""What all pairs of the package have in common."""

import copy
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from chainrule import functional

MODULES = [importlib.import_module(f"chainrule.functional.{module.name}") for module in pkgutil.iter_modules(functional.__path__)]
INNER = ("checks", "geometry", "windows")  # what the functions are made of
MATHEMATICS = [module for module in MODULES if not module.__name__.endswith(INNER)]
PUBLIC = sorted(name for module in MATHEMATICS for name in module.__all__)
FORWARDS = [name for name in PUBLIC if "_forward" in name]

SHAPES = {"x": (4, 5), "w": (5, 5), "b": (5,), "gamma": (5,), "beta": (5,)}
IMAGE_SHAPES = {"x": (2, 4, 6, 5), "w": (4, 4, 3, 2), "b": (4,), "gamma": (4,), "beta": (4,)}
ON_IMAGES = ("conv", "max_pool", "avg_pool", "adaptive_avg_pool", "global_avg_pool", "spatial", "upsample")
PARAMS = {
    "bn_param": {"mode": "train"},
    "ln_param": {},
    "gn_param": {},
    "dropout_param": {"p": 0.6, "mode": "train", "seed": 3},
    "conv_param": {"stride": 1, "pad": 1},
    "pool_param": {"pool_height": 2, "pool_width": 3, "stride": 1},
    "G": 2,
    "output_size": (4, 2),
    "factor": 2,
}


def arguments_of(name, random_array, dtype, layout="contiguous"):
    """Arrays and dictionaries for those parameters of the function that have no default, found by their names."""
    rng = np.random.default_rng(0)
    shapes = IMAGE_SHAPES if name.startswith(ON_IMAGES) else SHAPES
    if "groupnorm" in name:
        shapes = shapes | {"gamma": (1, 4, 1, 1), "beta": (1, 4, 1, 1)}
    parameters = inspect.signature(getattr(functional, name)).parameters.values()
    required = [parameter.name for parameter in parameters if parameter.default is parameter.empty]
    return [random_array(rng, shapes[name], dtype, layout) if name in shapes else copy.copy(PARAMS[name]) for name in required]


def run_pair(name, arguments, dtype):
    """out and all gradients of the pair, for a fixed random dout."""
    out, cache = getattr(functional, name)(*arguments)
    dout = np.random.default_rng(1).standard_normal(out.shape).astype(dtype)
    gradients = getattr(functional, name.replace("_forward", "_backward"))(dout, cache)
    return [out, *(gradients if isinstance(gradients, tuple) else (gradients,))]


def test_the_package_offers_exactly_the_public_names_of_its_modules():
    assert functional.__all__ == PUBLIC
    for module in MODULES:
        defined = [
            name
            for name, value in vars(module).items()
            if (inspect.isfunction(value) or inspect.isclass(value)) and value.__module__ == module.__name__ and name[0] != "_"
        ]
        assert sorted(module.__all__) == sorted(defined), module.__name__


@pytest.mark.parametrize("name", FORWARDS)
def test_every_forward_has_its_backward_directly_below_it(name):
    module = sys.modules[getattr(functional, name).__module__]
    functions = [value.__name__ for value in vars(module).values() if inspect.isfunction(value) and value.__module__ == module.__name__]
    public = [function for function in functions if not function.startswith("_")]
    assert public[public.index(name) + 1] == name.replace("_forward", "_backward")


@pytest.mark.parametrize("name", FORWARDS)
@pytest.mark.parametrize("layout", ["transposed", "strided", "reversed"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_memory_layout_of_the_inputs_does_not_matter(name, layout, dtype, random_array):
    plain = run_pair(name, arguments_of(name, random_array, dtype), dtype)
    arranged = run_pair(name, arguments_of(name, random_array, dtype, layout), dtype)
    for expected, actual in zip(plain, arranged, strict=True):
        # sums of at most sixty run in another order; a normalization divides by a standard deviation that is not below 0.1 here, twice
        np.testing.assert_allclose(actual, expected, rtol=0, atol=100 * 10 * np.finfo(dtype).eps * np.abs(expected).max())


@pytest.mark.parametrize("name", FORWARDS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_dtype_stays_and_read_only_inputs_do(name, dtype, random_array):
    for array in run_pair(name, arguments_of(name, random_array, dtype), dtype):
        assert array.dtype == dtype


@pytest.mark.parametrize("name", FORWARDS)
def test_gradients_have_the_shapes_of_what_they_belong_to(name, random_array):
    arguments = arguments_of(name, random_array, np.float64)
    gradients = run_pair(name, arguments, np.float64)[1:]
    assert [gradient.shape for gradient in gradients] == [array.shape for array in arguments if isinstance(array, np.ndarray)]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_docstring_gives_shapes_or_points_to_its_derivation(name):
    docstring, module = inspect.getdoc(getattr(functional, name)), inspect.getmodule(getattr(functional, name))
    assert docstring
    if "_backward" in name or name.endswith("_loss"):
        page = docstring.split("docs/derivations/")[1].split(".md")[0]
        assert (Path(__file__).parents[2] / "docs" / "derivations" / f"{page}.md").is_file(), f"{name} of {module.__name__}: no page {page}"
    else:
        assert "Parameters\n----------" in docstring and "Returns\n-------" in docstring


def test_importing_the_package_imports_numpy_alone():
    program = "import sys, chainrule.functional; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = set(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split())
    assert not loaded & {"numba", "torch", "matplotlib", "sklearn", "scipy"}
