"""The process that trains one cell of a study: `python -m chainrule.experiments.cell`, its task as JSON on stdin.

A process of its own: whatever becomes of it, the others go on.
"""

import json
import math
import sys
from pathlib import Path

from chainrule.experiments.results import result_file
from chainrule.settings import Settings
from chainrule.training import Run, build_data, build_trainer, evaluate, provenance
from chainrule.training.build import check_same_data
from chainrule.training.storage import write_json

__all__ = ["train_cell"]


def train_cell(folder: Path, name: str, settings: Settings, data_folder=None):
    """Train a cell, or go on where it stopped, as the run `name` in folder/runs, and write what it reached.

    Raises
    ------
    ValueError
        There is such a run, with other settings or of other data; or training diverges.
    """
    data = build_data(settings, data_folder)
    trainer = build_trainer(settings, data)
    root = folder / "runs"
    if (root / name).is_dir():
        run = Run.open(root, name)
        if Settings.from_dict(run.config.get("settings", {})) != settings:
            raise ValueError(f"{run.path} has other settings than the study has now; delete it, or give the study another name")
        check_same_data(run, data)
    else:
        run = Run.create(root, name, provenance(settings, data))
    with run.lock():
        trainer.run = run
        trainer.resume()
        history = trainer.fit(settings.epochs)
        best, last = history.best(), history.records[-1]
        assert best is not None
        trainer.engine.load_model_state(run.load_checkpoint("best")[0])
        test = evaluate(trainer.engine, data, data.test, tta=settings.tta)
        values = {
            "val_accuracy": best["val_accuracy"],
            "test_accuracy": test.accuracy,
            "train_accuracy": last["train_accuracy"],
            "train_loss": last["train_loss"],
            "best_epoch": best["epoch"],
            "epochs": len(history),
            "parameters": sum(math.prod(parameter.shape) for parameter in trainer.model.parameters()),
            "seconds": sum(history.column("seconds")),
        }
        write_json(result_file(folder, name), {"status": "finished", "settings": settings.to_dict(), **values}, what="the result")


def main():
    task = json.load(sys.stdin)
    try:
        train_cell(Path(task["folder"]), task["name"], Settings.from_dict(task["settings"]), task["data_folder"])
    except KeyboardInterrupt:
        sys.exit(130)
    except (ImportError, MemoryError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
