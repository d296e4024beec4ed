"""One model behind TensorFlow Serving's interfaces, in this process."""

import contextlib
import socket
from pathlib import Path

from keras_fpn.extras import install
from keras_fpn.serving.model_folder import ModelFolder

_PACKAGES = {"starlette", "uvicorn", "grpc", "tensorflow_serving"}

try:
    from keras_fpn.serving.grpc_server_tensorflow import GrpcServer
    from keras_fpn.serving.model_metadata_tensorflow import metadata_json
    from keras_fpn.serving.request_queue import Limits, RequestQueue
    from keras_fpn.serving.rest_server import RestContent, RestServer
    from keras_fpn.serving.served_model_tensorflow import ServedModel
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in _PACKAGES:
        raise
    raise ImportError(
        f"A server needs {error.name}, which is not installed. Install it with: "
        f"{install('serve')}"
    ) from error


@contextlib.contextmanager
def serving(
    folder: ModelFolder,
    host: str = "127.0.0.1",
    rest_port: int = 0,
    grpc_port: int = 0,
    limits: Limits | None = None,
    sample: Path | None = None,
):
    """Serves a model in threads of this process while the context lasts.

    At the end, requests that run are answered, for at most ten seconds.

    Args:
        folder: `ModelFolder`, the version to serve.
        host: address of this machine to listen at.
        rest_port, grpc_port: 0 takes a free one.
        limits: `Limits`; None, the usual ones.
        sample: a photo that the page offers; None for no offer.

    Yields:
        the two addresses, "http://HOST:PORT" and "HOST:PORT" for gRPC.

    Raises:
        ValueError: the folder has no SavedModel that TensorFlow can load.
        OSError: a file cannot be read, or a port cannot be had.
    """
    with contextlib.ExitStack() as stack:
        # Before the model is loaded, which takes long.
        listening = stack.enter_context(listen(host, rest_port))
        classes = folder.classes(), folder.pixel_classes()
        model = ServedModel(folder)
        queue = RequestQueue(limits or Limits())
        stack.callback(queue.stop)
        remote = GrpcServer(model, queue, host, grpc_port)
        stack.callback(remote.stop)
        content = RestContent(
            metadata_json(model), _description(model, *classes, sample), sample
        )
        rest = RestServer(model, queue, listening, content)
        stack.callback(rest.stop)
        shown, port = _shown(host), listening.getsockname()[1]
        yield f"http://{shown}:{port}", f"{shown}:{remote.port}"


def listen(host: str, port: int):
    """Returns a socket for REST that listens.

    Raises:
        OSError: the port cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (")[0]
        raise OSError(
            f"REST cannot listen at {_shown(host)}:{port}: {reason}. Choose another "
            "port, or 0 for a free one."
        ) from error


def _shown(host):
    return f"[{host}]" if ":" in host else host


def _description(model, classes, pixel_classes, sample):
    """Returns what the page needs to know, a dict."""
    inputs, outputs = model.default_names()
    return {
        "name": model.name,
        "version": model.version,
        "classes": classes,
        "pixel_classes": pixel_classes if "semantic_map" in outputs else [],
        "inputs": inputs,
        "outputs": outputs,
        "has_sample": sample is not None,
    }
