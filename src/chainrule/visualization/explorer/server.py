"""The explorer's page over HTTP, for this machine alone.

Every question brings its image along, and nothing is kept between two of them but opened networks: there are no sessions to mix up, and no
files to leave behind. A network remembers its last forward pass, so all is computed in one thread, step by step; whoever watches a fooling
image form does not keep other tabs waiting.
"""

import asyncio
import errno
import json
import socket
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from chainrule.messages import EXPLAINED, sentence
from chainrule.visualization.explorer.explorer import Explorer, Question

__all__ = ["application", "serve"]

HOST = "127.0.0.1"
LARGEST_UPLOAD = 256 * 2**20  # bytes; an image of 100 million pixels rarely needs as many
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def application(explorer: Explorer) -> Starlette:
    """The ASGI application: GET / is the page, POST /ask/VIEW?... with an image as body answers in lines of JSON.

    An error that a message explains is the line {"error": message}, with status 200: browsers log any other as a fault of the page.
    """
    worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="explorer")

    async def ask(request: Request) -> Response:
        # a page of another origin may send a request here, though not read what it answers
        if request.headers.get("origin") not in (None, f"http://{request.headers['host']}"):
            return PlainTextResponse("the explorer answers its own page only", status_code=403)
        lines = _answers(explorer, request.path_params["view"], request.query_params, await _body(request))
        return StreamingResponse(_in_turn(worker, lines), media_type="application/x-ndjson", headers=HEADERS)

    @asynccontextmanager
    async def lifespan(app):
        yield
        worker.shutdown(wait=False, cancel_futures=True)

    files = [Route(path, _file(name)) for path, name in {"/": "page.html", "/page.css": "page.css", "/page.js": "page.js"}.items()]
    # other hosts: a name that its owner lets point to 127.0.0.1, so that a page from there could read what is answered (DNS rebinding)
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    return Starlette(routes=[*files, Route("/ask/{view}", ask, methods=["POST"])], middleware=[hosts], lifespan=lifespan)


def _file(name):
    def send(request: Request) -> Response:
        return FileResponse(Path(__file__).with_name(name), headers=HEADERS)

    return send


async def _body(request):
    """The uploaded bytes; None if they are too many, which are read to their end, so that the browser waits for the answer."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > LARGEST_UPLOAD:
            chunks.clear()
        else:
            chunks.append(chunk)
    return b"".join(chunks) if size <= LARGEST_UPLOAD else None


def _answers(explorer: Explorer, view: str, given, photo: bytes | None) -> Generator[bytes, None, None]:
    """What the explorer answers, each as a line of JSON; what it raises, as the last one."""
    try:
        name = given.get("name", "the image")
        if photo is None:
            raise ValueError(f"{name} has more than {LARGEST_UPLOAD // 2**20} MiB; make it smaller first")
        sample = given.get("sample")
        question = Question(
            network=given.get("network", ""),
            photo=photo,
            name=name,
            sample=None if sample is None else _whole(sample),
            wanted=given.get("class", ""),
            method=given.get("method", "gradient"),
            layer=given.get("layer", ""),
        )
        for answer in explorer.answers(view, question):
            yield _line(answer)
    except EXPLAINED as error:
        yield _line({"error": "\n".join([sentence(error), *getattr(error, "__notes__", ())])})
    except Exception as error:  # a bug: the page lives on, and the terminal says where it is
        traceback.print_exc(file=sys.stderr)
        yield _line({"error": f"a fault of the program ({type(error).__name__}: {error}); the terminal shows where"})


def _line(answer: dict[str, Any]) -> bytes:
    return json.dumps(answer, allow_nan=False).encode() + b"\n"


def _whole(text):
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"{text!r} is no number of an image; it must be a whole number")
    return int(text)


async def _in_turn(worker: ThreadPoolExecutor, lines: Generator[bytes, None, None]) -> AsyncIterator[bytes]:
    """The lines, computed by the worker. Whoever goes away, by the stop button or a closed tab, ends the computation after its step."""
    loop = asyncio.get_running_loop()
    try:
        while (line := await loop.run_in_executor(worker, next, lines, None)) is not None:
            yield line
    finally:
        with suppress(RuntimeError):  # the worker was shut down
            worker.submit(lines.close)


def serve(explorer: Explorer, *, port: int = 7860, announce: Callable[[str], None] = print) -> None:
    """Serve the page until Ctrl-C, which is raised as KeyboardInterrupt.

    Parameters
    ----------
    port : 0 for any that is free
    announce : called with the address as soon as the page can be opened

    Raises
    ------
    ValueError
        The port is taken, or may not be used.
    """
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # the port of one that has just ended is free
        try:
            listening.bind((HOST, port))
        except OSError as error:
            reason = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
            raise ValueError(f"port {port} {reason}; name another with --port, or --port 0 for any that is free") from error
        listening.listen()
        announce(f"http://{HOST}:{listening.getsockname()[1]}/")
        config = uvicorn.Config(application(explorer), log_level="error", access_log=False, timeout_graceful_shutdown=1)
        uvicorn.Server(config).run(sockets=[listening])
