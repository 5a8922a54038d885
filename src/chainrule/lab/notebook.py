"""The checks inside a notebook."""

from pathlib import Path

from chainrule.lab.checking import Servers, check_workspace
from chainrule.lab.telling import as_text, summary
from chainrule.lab.workspace import find_workspace
from chainrule.messages import EXPLAINED, sentence

__all__ = ["CheckError", "check"]

_servers = Servers()  # as long as the notebook runs, so that each check begins at once


class CheckError(ValueError):
    """Why nothing could be checked; a notebook shows it as one line."""

    def _render_traceback_(self):  # IPython asks for it
        return [f"CheckError: {self}"]


def check(*functions, hints: int = 0) -> None:
    """Check functions of the workspace that the notebook is in, and print what is wrong with them.

    The file is read as it is saved: save it first.

    Parameters
    ----------
    functions : the functions, or names of functions, files or labs (default: all of the workspace)
    hints : how many hints to give

    Raises
    ------
    CheckError
        There is no workspace here, nothing in it has such a name, or a package that the files need is not there.
    """
    names = [function if isinstance(function, str) else f"{function.__module__}.{function.__name__}" for function in functions]
    verdicts = []
    try:
        for verdict in check_workspace(find_workspace(Path.cwd()), names, servers=_servers):
            verdicts.append(verdict)
            print("\n".join(as_text(verdict, hints=hints)))
    except EXPLAINED as error:
        raise CheckError(sentence(error)) from error
    if len(verdicts) > 1:
        print(summary(verdicts))
