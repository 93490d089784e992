"""The interface of a transport, and the metadata of a model."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]
Floats = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """Type and shape of an input or output."""

    dtype: str
    """Name of the NumPy type, such as "float32"; "str" for strings, "unknown" for types that the client never needs."""
    shape: tuple[int | None, ...] | None
    """None stands for a free size, or for a free number of axes."""


@dataclasses.dataclass(frozen=True)
class Signature:
    """Inputs and outputs of a signature, by name."""

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]


@dataclasses.dataclass(frozen=True)
class Metadata:
    """A server's report about a model. The model card is not part of it; it is a file of the SavedModel."""

    name: str
    version: int
    signatures: Mapping[str, Signature]


class Transport(Protocol):
    """A connection to one model on a server; threads may share it.

    Every method raises the exceptions of `socialmd_tf.serving.errors` and takes at most `timeout` seconds.
    """

    def predict(self, signature: str, inputs: Arrays, version: int | None, timeout: float) -> dict[str, Array]:
        """Outputs of a signature by name, from the given version of the model or from the default one."""

    def metadata(self, timeout: float) -> Metadata:
        """Name, version and signatures of the model."""

    def is_available(self, timeout: float) -> bool:
        """Whether the server has loaded the model."""

    def close(self) -> None:
        """Close the connections."""
