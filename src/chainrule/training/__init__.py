"""Training: one loop for both engines, runs on disk, reports."""

from chainrule.training.build import build_data, build_model, build_trainer, load_run
from chainrule.training.callbacks import Callback, EarlyStopping, LayerStatistics, TensorBoard
from chainrule.training.diagnostics import learning_rate_range_test, overfit_batch
from chainrule.training.engine import Engine, HandEngine
from chainrule.training.evaluation import Evaluation, evaluate
from chainrule.training.history import History
from chainrule.training.provenance import provenance
from chainrule.training.run import Run, runs
from chainrule.training.trainer import Trainer, TrainingDiverged

__all__ = [
    "Callback",
    "EarlyStopping",
    "Engine",
    "Evaluation",
    "HandEngine",
    "History",
    "LayerStatistics",
    "Run",
    "TensorBoard",
    "Trainer",
    "TrainingDiverged",
    "build_data",
    "build_model",
    "build_trainer",
    "evaluate",
    "learning_rate_range_test",
    "load_run",
    "overfit_batch",
    "provenance",
    "runs",
]
