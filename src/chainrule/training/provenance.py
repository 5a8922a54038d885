"""What a run was made with: command, versions, machine, data. Goes into config.json, so that a number can be traced and repeated."""

import importlib.metadata
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["describe_data", "machine", "provenance", "versions"]


def provenance(settings, data) -> dict:
    """The whole config.json of a run: `settings` (Settings) and how to get the same result from them."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "settings": settings.to_dict(),
        "data": describe_data(data),
        "versions": versions(),
        "machine": machine(),
    }


def describe_data(data) -> dict:
    """What tells one dataset from another: name, numbers of images, and the checksum over all of them."""
    images = {"train": len(data.train), "val": len(data.val), "test": len(data.test)}
    return {"name": data.name, "images": images, "checksum": data.checksum}


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide the numbers; a package that is not installed is left out."""
    found = {"python": platform.python_version()}
    for package in ("chainrule", "numpy", "numba", "llvmlite", "scikit-learn", "safetensors", "torch"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict:
    """Processor, cores that this process may use, memory in GiB, and operating system."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"processor": _processor(), "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()} | {
        "memory_gib": round(memory, 1),
        "system": platform.platform(),
    }


def _processor():
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
