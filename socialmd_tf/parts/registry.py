"""Parts of the network, and the registry that finds them by name."""

import dataclasses
import importlib
import re
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from pipelines.errors import UserError, require

Builder = Callable[[Any, str], Any]
"""`(ModelConfig, name of the layer) -> layer`."""


@dataclasses.dataclass(frozen=True)
class Part:
    """A layer that a configuration chooses by name."""

    name: str
    build: Builder
    """Makes the layer, without its weights."""
    reads: tuple[str, ...] = ()
    """The fields of `ModelConfig` that `build` reads. A field that some parts read matters to these parts alone: the
    tuner searches it for them, and `--help` shows it with them."""

    @property
    def summary(self) -> str:
        """First line of the builder's docstring, for `--help`."""
        return (self.build.__doc__ or self.name).strip().splitlines()[0].rstrip(".")

    @property
    def origin(self) -> str:
        """Module and name of the builder."""
        return f"{self.build.__module__}.{self.build.__qualname__}"


@dataclasses.dataclass(frozen=True)
class Force(Part):
    """Accelerations that the head verlet integrates; `socialmd_tf.layers.heads.verlet` describes the layer.

    A fitted one can be that of the head langevin too.
    """

    is_fitted: bool = False
    """Whether training fits the force in closed form before the epochs: the layer is then a `SumOfTerms`."""


class Interaction(Part):
    """How a particle sees its neighbours; `socialmd_tf.layers.interactions` describes the layer."""


@dataclasses.dataclass(frozen=True)
class Head(Part):
    """The layer that predicts the next position; `socialmd_tf.layers.heads` describes it.

    A head that reads `correlated` may have diagonal covariances, and one that reads `walls` may have walls.
    """

    kinematic: bool = False
    """Whether the head corrects a motion: the cell then reads the last move instead of the position, and its output
    contains that of the interaction. Such a head needs a cell that interacts."""
    calibrates: bool = False
    """Whether the spread can be trained alone (`calibration_epochs`): the layer has `motion_layers` and
    `is_moved_by_cell`, as `KinematicHead` does."""
    is_sampled: bool = False
    """Whether the head is meant for random motion, and rolled out by drawing every frame. It is then trained, and
    validated, by the likelihood of single frames after observed ones (teacher forcing)."""


@dataclasses.dataclass(frozen=True)
class Cell(Part):
    """The recurrent cell; `socialmd_tf.layers.cells` describes it."""

    interacts: bool = True
    """Whether the cell has an interaction; without one, particles do not see each other."""


PartType = TypeVar("PartType", bound=Part)


class Registry(Generic[PartType]):
    """Parts of one kind by name.

    A name is that of a registered part, or `MODULE:NAME`: then the Python module `MODULE`, which must register `NAME`,
    is imported first. So a configuration can name a part that its user wrote.

    Args:
        kind: The field of `ModelConfig` that holds a name, such as "head".
        part_type: `Part`, or a class of it with more facts.
    """

    def __init__(self, kind: str, part_type: type[PartType]) -> None:
        self.kind = kind
        self._part_type = part_type
        self._parts: dict[str, PartType] = {}

    def register(self, name: str, **facts: Any) -> Callable[[Builder], Builder]:
        """Register a builder, `(ModelConfig, layer name) -> layer`, under a name.

        Args:
            name: What the field of `ModelConfig` will hold: letters, digits and underscores.
            **facts: The other fields of the `Part`, such as `reads`.

        Returns:
            A decorator that leaves the builder as it is.

        Raises:
            UserError: The name is taken by another builder, or is not a name.
        """
        require(re.fullmatch(r"\w+", name) is not None, "name", "letters, digits and underscores", name)

        def add(build: Builder) -> Builder:
            part = self._part_type(name, build, **facts)
            known = self._parts.get(name)
            # A notebook cell that is run twice registers the same function twice.
            if known is not None and known.origin != part.origin:
                raise UserError(f"{self.kind} {name!r} is registered twice: by {known.origin} and by {part.origin}")
            self._parts[name] = part
            return build

        return add

    def __getitem__(self, name: str) -> PartType:
        """The part of a name.

        Raises:
            UserError: There is none.
        """
        module, _, registered = str(name).rpartition(":")
        if module:
            _import(module, self.kind)
        require(registered in self._parts, self.kind, f"one of {', '.join(self)}, or MODULE:NAME", name)
        return self._parts[registered]

    def __iter__(self) -> Iterator[str]:
        """Names of the registered parts."""
        return iter(self._parts)

    def help(self, introduction: str) -> str:
        """Text for `--help`: the introduction, and the summary of every part."""
        parts = "; ".join(f"{part.name}: {part.summary}" for part in self._parts.values())
        return f"{introduction}. {parts}; MODULE:NAME: one that your own Python module registers."


def _import(module: str, kind: str) -> None:
    try:
        importlib.import_module(module)
    except (ModuleNotFoundError, TypeError) as error:  # TypeError: a relative name
        raise UserError(f"`{kind}` must name a module in PYTHONPATH. Cannot import {module!r}: {error}") from None
