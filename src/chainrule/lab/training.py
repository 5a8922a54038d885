"""`lab train`: networks trained with a learner's functions beside the library's, and their loss curves."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from chainrule.lab.checking import written_functions
from chainrule.lab.labs import Lab
from chainrule.lab.sandbox import run_training
from chainrule.lab.workspace import Workspace

__all__ = ["TRAINABLE", "Trained", "picture", "train"]

TRAINABLE = {  # what trains the networks of a lab
    **dict.fromkeys(
        ("backpropagation", "fully-connected-nets", "optimization", "normalization", "dropout", "convolution"), "chainrule.lab.learning"
    ),
    **dict.fromkeys(("pytorch", "residual-networks"), "chainrule.lab.torch_learning"),
    "tensorflow": "chainrule.lab.tensorflow_learning",
}
SECONDS = 60.0  # for one step
SAME = 1e-9  # relative; rounding of float64, which training amplifies


@dataclass
class Trained:
    """One network, trained twice.

    Attributes
    ----------
    title : what was trained
    uses : what of it was the learner's
    steps : how many there are to be
    drawn : whether what is drawn by chance (masks, first weights) may be other than the library's
    losses : of every step, "yours" and "library"
    accuracy : on the validation images at the end, of both; missing where training diverged
    fault : what ended it before its end
    """

    title: str
    uses: list[str]
    steps: int
    drawn: bool = False
    losses: dict[str, list[float]] = field(default_factory=lambda: {"library": [], "yours": []})
    accuracy: dict[str, float] = field(default_factory=dict)
    fault: str = ""

    def verdict(self) -> str:
        """What the two curves have to do with each other, in a sentence."""
        if self.fault:
            return self.fault
        yours, library = np.array(self.losses["yours"]), np.array(self.losses["library"])
        if len(yours) < len(library):
            return f"yours diverged in step {len(yours) + 1}: the loss is no finite number any more"
        apart = np.flatnonzero(np.abs(yours - library) > SAME * np.abs(library))
        if not len(apart):
            return f"the same loss in all {len(yours):,} steps, to rounding"
        if self.drawn:
            return f"last loss {yours[-1]:.4f}, the library's {library[-1]:.4f}; other draws and other rounding make other curves"
        first = int(apart[0])
        return f"the losses part at step {first + 1}: {yours[first]:.6f}, the library's {library[first]:.6f}"


def train(
    workspace: Workspace,
    lab: Lab,
    *,
    data: str = "digits",
    limit: int | None = None,
    epochs: int = 5,
    seed: int = 0,
    seconds: float = SECONDS,
    progress: Callable[[Trained, str, int], None] | None = None,
) -> list[Trained]:
    """Train the networks of a lab with the functions that are written there.

    Parameters
    ----------
    workspace, lab : whose functions
    data : "digits" or "cifar10"
    limit : number of training images (default: all)
    epochs, seed : of the training
    seconds : limit for one step
    progress : called with the network, "yours" or "library", and the number of the step

    Returns
    -------
    The networks that use a function that is written, also those whose training failed; none if nothing is written.

    Raises
    ------
    ValueError
        The data are not there, or a file cannot be imported.
    """
    written = {file.name: written_functions(workspace.folder, file) for file in lab.files}
    request = {
        "module": TRAINABLE[lab.name],
        "lab": lab.name,
        "written": written,
        "data": data,
        "limit": limit,
        "epochs": epochs,
        "seed": seed,
    }
    answers = {file.name: [exercise.name for other in lab.files for exercise in other.exercises] for file in lab.files}
    needs = sorted({name for file in lab.files for name in file.needs})
    found: list[Trained] = []
    for line in run_training(workspace.folder, request, answers=answers, needs=needs, seconds=seconds):
        if "unable" in line or ("failed" in line and not found):
            raise ValueError(line.get("unable") or line["failed"])
        if "failed" in line:
            found[-1].fault = line["failed"]
        elif "run" in line:
            found.append(Trained(line["run"], line["uses"], line["steps"], line["drawn"]))
        elif "step" in line:
            found[-1].losses[line["who"]].append(line["loss"])
            if progress is not None:
                progress(found[-1], line["who"], line["step"])
        elif "accuracy" in line:
            found[-1].accuracy[line["who"]] = line["accuracy"]
    return found


def picture(runs: list[Trained], path: Path) -> None:
    """The loss curves, yours over the library's, as PNG."""
    import io

    import matplotlib
    from matplotlib.figure import Figure

    from chainrule.training.storage import write_file

    with matplotlib.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        columns = min(2, len(runs))
        rows = math.ceil(len(runs) / columns)
        figure = Figure((5.2 * columns, 3.2 * rows), layout="constrained")
        for axes, run in zip(figure.subplots(rows, columns, squeeze=False).flat, runs, strict=False):
            for who, style in (("library", {"color": "0.7", "lw": 4}), ("yours", {"color": "tab:red", "lw": 1.2})):
                axes.plot(range(1, len(run.losses[who]) + 1), run.losses[who], label=who, **style)
            axes.set(title=run.title, xlabel="step", ylabel="loss of the batch")
            axes.legend(frameon=False)
        for axes in figure.axes[len(runs) :]:
            axes.set_axis_off()
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=120, metadata={"Description": "; ".join(f"{run.title}: {run.verdict()}" for run in runs)})
    write_file(path, file.getvalue(), what="the picture")
