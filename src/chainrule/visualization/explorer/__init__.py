"""The explorer: a page in the browser, served by and for this machine alone, that looks inside a network while one watches."""

try:
    import starlette as _starlette  # noqa: F401
    import uvicorn as _uvicorn  # noqa: F401
except ImportError as error:
    raise ImportError("this needs Starlette and uvicorn: pip install chainrule[explore]") from error

from chainrule.visualization.explorer.explorer import Explorer, Question
from chainrule.visualization.explorer.server import application, serve

__all__ = ["Explorer", "Question", "application", "serve"]
