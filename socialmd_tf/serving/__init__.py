"""Exported models behind a server: TensorFlow Serving's files, a small server, and a client without TensorFlow.

assets.py writes the files that start TensorFlow Serving, warmup.py the requests on which it warms up. server/ is the
server of `socialmd-tf serve`. client.py is the client; grpc_transport.py and rest_transport.py carry its requests.
Begin with client.py. `Client` is imported when it is first used: the client and the servers need different libraries.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from socialmd_tf.serving.client import Client as Client

__all__ = ["Client"]


def __getattr__(name: str) -> Any:
    """`Client`, imported when it is first used."""
    if name != "Client":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from socialmd_tf.serving.client import Client

    return Client
