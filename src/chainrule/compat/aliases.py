"""Makes a compatibility package importable under the course's own top-level name."""

import sys
from importlib import import_module
from pkgutil import extend_path, walk_packages

__all__ = ["install"]

PACKAGES = {
    "cs231n": "chainrule.compat.cs231n",
    "hw2": "chainrule.compat.cs236781",
    "two_layernet": "chainrule.compat.hlcv.two_layernet",
}


def install(name: str) -> None:
    """Let `import NAME` and `import NAME.module` find chainrule's modules, in this process.

    Afterwards `cs231n.layers` *is* `chainrule.compat.cs231n.layers`, under both names. Modules of the course that chainrule does not
    have (`hw2.answers`, `hw2.grad_compare`, ...) are still found in the course's own folder NAME, where one is on `sys.path`; what
    they import from NAME is chainrule's. A second call changes nothing.

    Parameters
    ----------
    name : "cs231n" (CS231n, assignments 1 and 2), "hw2" (CS236781, homework 2; takes PyTorch) or "two_layernet" (HLCV, exercise 2)

    Raises
    ------
    ValueError
        `name` is none of these.
    ImportError
        Another package of that name is imported already: code that holds its functions would go on using them.
    """
    if name not in PACKAGES:
        raise ValueError(f"install: no course package is called {name!r}; there are {', '.join(map(repr, PACKAGES))}")
    package = import_module(PACKAGES[name])
    loaded = sys.modules.get(name)
    if loaded is package:
        return
    if loaded is not None:
        origin = getattr(loaded, "__file__", None) or next(iter(getattr(loaded, "__path__", [])), "an unknown place")
        raise ImportError(
            f"install: {name} is already imported, from {origin}; "
            f'call chainrule.compat.install("{name}") before the first import of {name} (in a notebook: restart the kernel, call it first)'
        )
    submodules = [import_module(info.name) for info in walk_packages(getattr(package, "__path__", []), f"{package.__name__}.")]
    for module in [package, *submodules]:
        alias = name + module.__name__.removeprefix(package.__name__)
        sys.modules[alias] = module
        if hasattr(module, "__path__"):
            module.__path__ = extend_path(module.__path__, alias)
