"""Loaded models, run the way TensorFlow's model server runs them.

A SavedModel is loaded into a session of its graph, without XLA. Names of inputs are compared with the signature, and
tensors go to the session as they are: the session checks types, and only the graph checks shapes. So errors are those
of the model server.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt
import tensorflow as tf

from socialmd_tf.serving.server.source import Source

Array = npt.NDArray[Any]
INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION = 3, 5, 9  # codes of gRPC


class Refusal(Exception):
    """A status other than OK: its gRPC code and message."""

    def __init__(self, code: int, message: str):
        super().__init__(message)
        self.code = code


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
        config = tf.compat.v1.ConfigProto()
        config.gpu_options.allow_growth = True  # other programs of this machine need memory, too
        session = tf.compat.v1.Session(graph=graph, config=config)
        with graph.as_default():
            meta_graph = tf.compat.v1.saved_model.load(session, ["serve"], str(directory))
        return cls(name, int(directory.name), session, dict(meta_graph.signature_def))

    def predict(
        self, signature_name: str, tensors: Mapping[str, Any], output_filter: Iterable[str] = ()
    ) -> dict[str, Array]:
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

    def _inputs(self, signature: Any, tensors: Mapping[str, Any]) -> list[tuple[Any, Array]]:
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
    """The loaded versions; threads may share it.

    Args:
        source: Which versions of which models. `refresh` loads them.
    """

    def __init__(self, source: Source):
        self._source = source
        self._loaded: dict[str, dict[int, Servable]] = {name: {} for name in source.directories}
        self._failed: set[Path] = set()

    def refresh(self) -> list[str]:
        """Load new versions; versions that they replace stay until then.

        Returns:
            A line for every version that was loaded or could not be loaded.
        """
        lines = []
        for name in self._source.directories:
            wanted, loaded = self._source.wanted(name), dict(self._loaded[name])
            for version in sorted(set(wanted) - set(loaded)):
                if wanted[version] in self._failed:
                    continue
                try:
                    loaded[version] = Servable.load(name, wanted[version])
                    lines.append(f"loaded {name}, version {version}")
                except Exception as error:  # whatever is wrong with a file, the other models are served
                    self._failed.add(wanted[version])
                    lines.append(f"{wanted[version]} cannot be loaded: {' '.join(str(error).split())}")
            kept = {version: servable for version, servable in loaded.items() if version in wanted}
            self._loaded[name] = kept or loaded
        return lines

    def has_any(self) -> bool:
        """Whether a version of any model is loaded."""
        return any(self._loaded.values())

    def find(self, name: str, version: int | None) -> Servable:
        """A version, by default the newest.

        Raises:
            Refusal: It is not served.
        """
        loaded = self._loaded.get(name, {})
        if not loaded or (version is not None and version not in loaded):
            asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise Refusal(NOT_FOUND, f"Servable not found for request: {asked}")
        return loaded[max(loaded) if version is None else version]

    def available(self, name: str, version: int | None) -> list[int]:
        """The loaded versions of a model, the newest first, or only the given one.

        Raises:
            Refusal: There is none.
        """
        loaded = self._loaded.get(name, {})
        if version is not None and version not in loaded:
            raise Refusal(NOT_FOUND, f"Could not find version {version} of model {name}")
        if not loaded:
            raise Refusal(NOT_FOUND, f"Could not find any versions of model {name}")
        return sorted(loaded, reverse=True) if version is None else [version]
