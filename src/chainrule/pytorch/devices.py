"""Where PyTorch computes, and with how many digits: what was asked for, held against what this machine has."""

import os
import shutil
from contextlib import nullcontext

import torch

__all__ = ["autocast", "check_compiler", "choose_device", "placed"]

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device(name: str) -> torch.device:
    """The device of that name; "auto" is a GPU where there is one. Of several GPUs, each process that torchrun started takes its own.

    Raises
    ------
    ValueError
        It is none, or this machine has no such device.
    """
    present = [
        "cpu",
        *(f"cuda:{index}" for index in range(torch.cuda.device_count())),
        *(["mps"] if torch.backends.mps.is_available() else []),
    ]
    own = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    full = own if name == "cuda" or (name == "auto" and "cuda:0" in present) else present[-1] if name == "auto" else name
    if full not in present:
        raise ValueError(f"device is {name!r}; PyTorch {torch.__version__} finds {', '.join(present)} on this machine{_advice(name)}")
    return torch.device(full)


def check_compiler(device: torch.device):
    """Refuse torch.compile where it has no compiler to call.

    Raises
    ------
    ValueError
        The device is the CPU, and there is no C++ compiler.
    """
    if device.type == "cpu" and not any(map(shutil.which, (os.environ.get("CXX") or "g++", "g++", "clang++", "c++"))):
        raise ValueError("compile: torch.compile needs a C++ compiler on the CPU, and there is none; install g++, or leave it out")


def _advice(name):
    if name.startswith("cuda") and not torch.backends.cuda.is_built():
        return ": this build of PyTorch has no CUDA in it; install one that has"
    if name.startswith("cuda") and not torch.cuda.is_available():
        return ": no NVIDIA GPU, or no driver for it"
    return ""


def autocast(device: torch.device, amp: str):
    """A function that makes the context in which a forward pass computes its products as `amp` says: "none", "bf16" or "fp16".

    Raises
    ------
    ValueError
        The device cannot.
    """
    if amp == "none":
        return nullcontext
    if device.type == "cuda" and amp == "bf16" and not torch.cuda.is_bf16_supported():
        raise ValueError(f"amp = bf16: {torch.cuda.get_device_name(device)} has no bfloat16; use fp16")
    if device.type == "mps" and amp == "bf16":
        raise ValueError("amp = bf16: not on mps; use fp16")
    return lambda: torch.autocast(device.type, DTYPES[amp])


def placed(network, device: torch.device, *, channels_last: bool = False):
    """The network on the device, its filters in PyTorch's channels-last format if that is wanted."""
    return network.to(device, memory_format=torch.channels_last if channels_last else torch.preserve_format)
