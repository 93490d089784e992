"""Errors between a client and a model server."""


class ServingError(Exception):
    """The server failed, or its answer cannot be read; base class of the others."""


class InvalidRequest(ServingError, ValueError):
    """The request does not fit the model; a retry would not help. The message is the server's reason."""


class Unavailable(ServingError):
    """The server was not reached or the connection was lost, after all retries."""


def invalid_request(reason: str) -> InvalidRequest:
    """The exception for a refused request; if the server lacks the model, the message says what models are called."""
    if "Servable not found" not in reason:
        return InvalidRequest(reason)
    return InvalidRequest(
        f"{reason}. The server has no such model, or no such version of it: a model is called as its directory under "
        "the one that the server serves"
    )


def unavailable(reason: str) -> Unavailable:
    """The exception for a failed connection; if it was refused, the message says how to start a server."""
    if "refused" not in reason:
        return Unavailable(reason)
    ways = (
        "`socialmd-tf serve saved_models`, or TensorFlow Serving: `docker compose up` or `tensorflow_model_server "
        "--port=8500 --rest_api_port=8501 --model_name=NAME --model_base_path=$PWD/saved_models/NAME`"
    )
    return Unavailable(f"{reason.rstrip('.')}. Is a server running? Start one with {ways} (see docs/serving.md)")


class DeadlineExceeded(ServingError, TimeoutError):
    """The server did not answer in time."""
