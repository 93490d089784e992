"""Exported models behind TensorFlow Serving: the server's configuration files, and a client without TensorFlow.

assets.py writes the files that start a server, warmup.py the requests on which it warms up. client.py is the client;
grpc_transport.py and rest_transport.py carry its requests. Begin with client.py. `Client` is imported when it is first
used: the client and the server's files need different libraries.
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
