"""The labs' notebooks: kept as text with markers (jupytext's py:percent), given out as .ipynb."""

from pathlib import Path

import jupytext
import nbformat

from chainrule.lab.labs import Lab

__all__ = ["FOLDER", "notebook"]

FOLDER = Path(__file__).with_name("texts")
ANSWER = "answer"  # tag of the cells that only instructors get
YOURS = "**Your answer:**"  # in their place


def notebook(lab: Lab, *, solutions: bool = False) -> bytes:
    """A notebook of nbformat 4, its outputs empty. Unless solutions are wanted, texts tagged "answer" are there to be filled in, and code
    tagged so is left out."""
    content = jupytext.read(FOLDER / f"{lab.notebook}.py", fmt="py:percent")
    for index, cell in enumerate(content.cells):
        cell.id = f"{lab.notebook}-{index}"[:64]  # the same ones each time, with answers and without
    if not solutions:
        answers = [cell for cell in content.cells if ANSWER in cell.metadata.get("tags", ())]
        content.cells = [cell for cell in content.cells if cell not in answers or cell.cell_type == "markdown"]
        for cell in answers:
            cell.source, cell.metadata = YOURS, nbformat.from_dict({})
    content.metadata = nbformat.from_dict(
        {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}, "language_info": {"name": "python"}}
    )
    nbformat.validate(content)
    return nbformat.writes(content).encode() + b"\n"
