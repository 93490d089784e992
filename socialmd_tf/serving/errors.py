"""Errors between a client and a model server."""


class ServingError(Exception):
    """The server failed, or its answer cannot be read; base class of the others."""


class InvalidRequest(ServingError, ValueError):
    """The request does not fit the model; a retry would not help. The message is the server's reason."""


class Unavailable(ServingError):
    """The server was not reached or the connection was lost, after all retries."""


class DeadlineExceeded(ServingError, TimeoutError):
    """The server did not answer in time."""
