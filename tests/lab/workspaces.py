"""Workspaces for tests: one of the normalization lab, with functions of our choice in it."""

import importlib.util
from pathlib import Path

from chainrule.lab.checking import check_workspace
from chainrule.lab.labs import FILES, LABS, find_lab
from chainrule.lab.workspace import find_workspace, start

FILES_HERE = [file for file in FILES if all(importlib.util.find_spec(need) for need in file.needs)]  # TensorFlow is elsewhere
LABS_HERE = [lab.name for lab in LABS if set(lab.files) <= set(FILES_HERE)]

FORWARD = """
def layernorm_forward(x, gamma, beta, ln_param):
    mean = x.mean(axis=1, keepdims=True)
    std = np.sqrt(x.var(axis=1, keepdims=True) + ln_param.get("eps", 1e-5))
    x_hat = (x - mean) / std
    return gamma * x_hat + beta, (x_hat, std, gamma)
"""
BACKWARD = """
def layernorm_backward(dout, cache):
    x_hat, std, gamma = cache
    dx_hat = dout * gamma
    dx = dx_hat - dx_hat.mean(axis=1, keepdims=True) - x_hat * (dx_hat * x_hat).mean(axis=1, keepdims=True)
    return dx / std, (dout * x_hat).sum(axis=0), dout.sum(axis=0)
"""


def new_workspace(folder: Path, lab: str = "normalization", **options) -> Path:
    start(find_lab(lab), folder, **options)
    return folder


def written(folder: Path, *functions: str, header: str = "import numpy as np\n") -> Path:
    """A workspace whose normalization.py has these functions after the skeleton's, so that they replace them."""
    new_workspace(folder)
    file = folder / "normalization.py"
    file.write_text(file.read_text() + header + "".join(functions))
    return folder


def verdict_on(folder: Path, function: str, **options):
    (verdict,) = check_workspace(find_workspace(folder), [function], **options)
    return verdict
