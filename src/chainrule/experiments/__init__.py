"""Architecture studies: a question, a grid of networks and settings over several seeds, and what chance leaves of the answer."""

from chainrule.experiments.page import write_page
from chainrule.experiments.results import Condition, Outcome, conditions, difference, finding, write_csv
from chainrule.experiments.running import check_study, prepare_folder, run_study
from chainrule.experiments.study import MEASURES, Cell, Study, read_study, shipped_studies

__all__ = [
    "MEASURES",
    "Cell",
    "Condition",
    "Outcome",
    "Study",
    "check_study",
    "conditions",
    "difference",
    "finding",
    "prepare_folder",
    "read_study",
    "run_study",
    "shipped_studies",
    "write_csv",
    "write_page",
]
