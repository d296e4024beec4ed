"""Why a request has no answer, in the terms of REST and of gRPC."""

# The names of gRPC's status codes -> what TensorFlow Serving's REST interface makes of
# them. It has no limit on the size of a request; 413 is HTTP's own code for that.
HTTP_CODES = {
    "INVALID_ARGUMENT": 400,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 413,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_LETTERS = 1000  # TensorFlow may repeat the request; gRPC limits a message to 8 kB


class RequestError(Exception):
    """Ends a request with an error for its client; the server goes on.

    Args:
        status: a key of `HTTP_CODES`, the name of a gRPC status code.
        message: what was wrong; a long one loses its middle.
    """

    def __init__(self, status: str, message: str):
        half = _LETTERS // 2
        if len(message) > _LETTERS:
            message = f"{message[:half]} ... {message[-half:]}"
        super().__init__(message)
        self.status = status

    @property
    def http_code(self):
        """int, the status code of REST."""
        return HTTP_CODES[self.status]


def no_such_model(name: str, version: int | None = None):
    """Returns the RequestError for a model or version that is not served."""
    asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
    return RequestError("NOT_FOUND", f"Servable not found for request: {asked}")
