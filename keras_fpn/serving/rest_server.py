"""TensorFlow Serving's REST interface, and the page, over HTTP."""

import asyncio
import importlib.resources
import re
import socket
import threading
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from keras_fpn.serving.json_messages import answer_json
from keras_fpn.serving.request_error import RequestError, no_such_model
from keras_fpn.serving.request_queue import RequestQueue

PAGE = "page.html"
_PATH = re.compile(
    r"/v1/models(?:/([^/:]+)(?:/versions/(\d{1,18}))?)?(/metadata|:predict)?"
)
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_IDLE_SECONDS = 10  # a connection without a request is closed after as long, or twice
_GRACE_SECONDS = 10  # for requests that run when the server stops
_CONNECTIONS = 64  # beside one for each request
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src 'self' blob: data:",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class RestContent:
    """What the server tells about its model.

    Attributes:
        metadata: dict, the answer to .../metadata.
        description: dict, what the page needs to know.
        sample: a photo that the page offers; None for no offer.
    """

    metadata: dict
    description: dict
    sample: Path | None = None


class RestServer:
    """Serves a model by HTTP, in a thread of its own, until it is stopped.

    Args:
        model: `ServedModel`.
        queue: `RequestQueue`.
        listening: a bound socket, which the server closes.
        content: `RestContent`.
    """

    def __init__(
        self,
        model,
        queue: RequestQueue,
        listening: socket.socket,
        content: RestContent,
    ):
        app = _Answers(model, queue, content).app()
        config = uvicorn.Config(
            app,
            http=_PatientProtocol,
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=queue.limits.requests + _CONNECTIONS,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        self._server = uvicorn.Server(config)
        # Outside the main thread, uvicorn leaves the process's signals alone.
        self._thread = threading.Thread(
            target=self._server.run, args=([listening],), name="keras_fpn_rest"
        )
        self._thread.start()

    def stop(self):
        """Ends the requests that run, then the server."""
        self._server.should_exit = True
        self._thread.join()


class _PatientProtocol(H11Protocol):
    """uvicorn's, but a connection on which no request arrives does not stay open."""

    def connection_made(self, transport):
        super().connection_made(transport)
        self.loop.call_later(_IDLE_SECONDS, self._look, None)

    def _look(self, before):
        """Closes the connection if it has no request since the last look."""
        idle = self.cycle is None or self.cycle.response_complete
        if idle and self.cycle is before:
            self.transport.close()
        elif not self.transport.is_closing():
            self.loop.call_later(_IDLE_SECONDS, self._look, self.cycle)


class _Answers:
    """The addresses of the server, as methods."""

    def __init__(self, model, queue, content):
        self._model, self._queue, self._content = model, queue, content
        page = importlib.resources.files(__package__).joinpath(PAGE)
        self._page = page.read_bytes()

    def app(self):
        """Returns the ASGI application."""
        routes = [
            Route("/", self._show_page),
            Route("/model.json", self._describe),
            Route("/sample", self._show_sample),
            Route("/v1/{rest:path}", self._answer, methods=_METHODS),
        ]
        failed = {HTTPException: _no_such_page, 500: _own_fault}
        return Starlette(routes=routes, exception_handlers=failed)

    async def _show_page(self, request: Request):
        return Response(self._page, media_type="text/html", headers=_HEADERS)

    async def _describe(self, request: Request):
        return JSONResponse(self._content.description, headers=_HEADERS)

    async def _show_sample(self, request: Request):
        if self._content.sample is None:
            raise HTTPException(404)
        return FileResponse(self._content.sample, headers=_HEADERS)

    async def _answer(self, request: Request):
        try:
            return await self._answer_v1(request)
        except RequestError as error:
            return JSONResponse({"error": str(error)}, error.http_code)
        except ClientDisconnect:
            return Response()  # nobody reads it

    async def _answer_v1(self, request):
        method, path = request.method, request.scope["path"]
        found = _PATH.fullmatch(path)
        if not found or method != ("POST" if found[3] == ":predict" else "GET"):
            raise RequestError(
                "INVALID_ARGUMENT", f"Malformed request: {method} {path}"
            )
        name, version, what = found.groups()
        if name is None:
            raise RequestError("INVALID_ARGUMENT", "Missing model name in request.")
        served = self._model.name, self._model.version
        number = self._model.version if version is None else int(version)
        if (name, number) != served:
            raise no_such_model(name, None if version is None else number)
        if what == "/metadata":
            return JSONResponse(self._content.metadata)
        if what is None:
            return JSONResponse(_status(number))
        return await self._predict(request)

    async def _predict(self, request):
        with self._queue.place() as place:
            try:
                async with asyncio.timeout(place.seconds_left()):
                    body = await _read_body(request, self._queue.limits.request_bytes)
                    future = place.run(answer_json, self._model, body)
                    # Shielded, because a request that waits keeps its bytes.
                    answer = await asyncio.shield(asyncio.wrap_future(future))
            except TimeoutError as error:
                raise place.too_late() from error
        return Response(answer, media_type="application/json")


async def _read_body(request, limit):
    """Returns the body of a request, bytes.

    Raises:
        RequestError: it has more bytes than the limit.
    """
    length = request.headers.get("content-length", "")
    body = bytearray()
    too_large = length.isdecimal() and int(length) > limit
    if not too_large:
        async for chunk in request.stream():
            body += chunk
            if too_large := len(body) > limit:
                break
    if too_large:
        raise RequestError(
            "RESOURCE_EXHAUSTED",
            f"A request must have at most {limit} bytes, the server's limit.",
        )
    return bytes(body)


def _status(version):
    """Returns the state of the model, as TensorFlow Serving describes it."""
    status = {"error_code": "OK", "error_message": ""}
    state = {"version": str(version), "state": "AVAILABLE", "status": status}
    return {"model_version_status": [state]}


def _no_such_page(request, error):
    message = f"Malformed request: {request.method} {request.scope['path']}"
    return JSONResponse({"error": message}, error.status_code)


def _own_fault(request, error):
    """What a client sees of a fault of ours; uvicorn writes its traceback."""
    return JSONResponse({"error": "The server failed; its log says where."}, 500)
