"""A SavedModel run the way TensorFlow's model server runs it: half of the stand-in server of these tests.

Not the model server: no binary of it is needed here. What matters of it is repeated: the SavedModel is loaded into a
session of the graph, without XLA; what a request holds is compared with the signature by name only, and tensors go to
the session as they are. Types are checked by the session, shapes by the graph alone.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf


class Refusal(Exception):
    """A status other than OK: its gRPC code and message."""

    def __init__(self, code: int, message: str):
        super().__init__(message)
        self.code = code


INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION = 3, 5, 9


@dataclasses.dataclass
class Servable:
    """One loaded version of a model."""

    name: str
    version: int
    session: Any
    signatures: Mapping[str, Any]

    @classmethod
    def load(cls, name: str, directory: Path) -> "Servable":
        """Load `NAME/VERSION`."""
        graph = tf.Graph()
        session = tf.compat.v1.Session(graph=graph)
        with graph.as_default():
            meta_graph = tf.compat.v1.saved_model.load(session, ["serve"], str(directory))
        return cls(name, int(directory.name), session, dict(meta_graph.signature_def))

    def predict(
        self, signature_name: str, tensors: Mapping[str, Any], output_filter: Iterable[str] = ()
    ) -> dict[str, np.ndarray]:
        """Run a signature on `TensorProto` values.

        Raises:
            Refusal: As the model server would.
        """
        signature = self.signatures[signature_name]
        feeds = {self._tensor(info): value for info, value in self._inputs(signature, tensors)}
        names = list(output_filter) or sorted(signature.outputs)
        for unknown in set(names) - set(signature.outputs):
            raise Refusal(INVALID_ARGUMENT, f"output tensor alias not found in signature: {unknown}")
        fetches = [self._tensor(signature.outputs[name]) for name in names]
        try:
            # Past the checks of `Session.run` in Python, which the model server does not have.
            found = self.session._call_tf_sessionrun(None, feeds, fetches, [], None)
        except tf.errors.OpError as error:
            raise Refusal(error.error_code, error.message) from None
        return dict(zip(names, found, strict=True))

    def _tensor(self, info: Any) -> Any:
        return self.session.graph.get_tensor_by_name(info.name)._as_tf_output()

    def _inputs(self, signature: Any, tensors: Mapping[str, Any]) -> list[tuple[Any, np.ndarray]]:
        """Pairs of the signature's entry and the value, from the request or from the signature's defaults."""
        given, wanted = set(tensors), set(signature.inputs)
        extra, missing = ",".join(sorted(given - wanted)), ",".join(sorted(wanted - given))
        if len(given) > len(wanted) or (len(given) < len(wanted) and not signature.defaults):
            raise Refusal(
                INVALID_ARGUMENT,
                f"input size does not match signature: {len(given)}!={len(wanted)}. Sent extra: {{{extra}}}. "
                f"Missing but required: {{{missing}}}.",
            )
        values = []
        for name, info in signature.inputs.items():
            if name not in tensors and name not in signature.defaults:
                raise Refusal(
                    INVALID_ARGUMENT,
                    f"Signature input alias: {name} not found in request and no default value provided. Inputs "
                    f"expected to be in the request {{{','.join(sorted(given))}}}.",
                )
            try:
                value = tf.make_ndarray(tensors[name] if name in tensors else signature.defaults[name])
            except (ValueError, TypeError):
                raise Refusal(INVALID_ARGUMENT, f"tensor parsing error: {name}") from None
            values.append((info, value))
        if not given <= wanted:
            raise Refusal(
                INVALID_ARGUMENT,
                f"Inputs contains invalid name. Used request inputs: {','.join(sorted(given & wanted))}, "
                f"request input: {','.join(sorted(given))}",
            )
        return values


class Models:
    """Every version of one model.

    Args:
        directory: `saved_models/NAME`, whose versions are all served.
    """

    def __init__(self, directory: Path):
        self.name = directory.absolute().name
        versions = sorted(int(entry.name) for entry in directory.iterdir() if entry.name.isdecimal())
        self.servables = {version: Servable.load(self.name, directory / str(version)) for version in versions}

    def find(self, name: str, version: int | None) -> Servable:
        """A version, by default the newest.

        Raises:
            Refusal: It is not served.
        """
        if name != self.name or (version is not None and version not in self.servables):
            asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise Refusal(NOT_FOUND, f"Servable not found for request: {asked}")
        return self.servables[max(self.servables) if version is None else version]
