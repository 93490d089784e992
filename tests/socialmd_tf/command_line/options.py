"""Small configurations for the tests of command lines."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import tyro

from pipelines.errors import UserError


@dataclasses.dataclass(frozen=True)
class Pen:
    """The pen."""

    width: float = 0.5
    """Width of the line,
    in millimetres."""
    color: Literal["black", "red"] = "black"
    """Color of the line."""
    dashes: tuple[int, ...] = (3, 1)
    """Lengths of dashes and gaps."""


@dataclasses.dataclass(frozen=True)
class Paper:
    """The paper."""

    landscape: bool = False
    """Turn the page."""


@dataclasses.dataclass(frozen=True)
class Copies:
    """Print copies."""

    number: int = 1
    """How many."""


@dataclasses.dataclass(frozen=True)
class Options:
    """Draw a circle.

    It is drawn with a pen
    on paper.
    """

    radius: float = 1.0
    """Radius, in millimetres."""
    output: str = "circle.png"
    """File of the picture."""
    template: Path | None = None
    """Picture to draw on."""
    secret: Annotated[int, tyro.conf.Suppress] = 7
    """Nobody sees this."""
    pen: Pen = dataclasses.field(default_factory=Pen)
    paper: Annotated[Paper, tyro.conf.OmitArgPrefixes] = dataclasses.field(default_factory=Paper)

    def __post_init__(self) -> None:
        if self.radius <= 0:
            raise UserError(f"`radius` must be positive. Received: {self.radius}")


@dataclasses.dataclass(frozen=True)
class Ellipse(Options):
    """Draw an ellipse."""

    radius: float = 2.0
    """Radius along the longer axis."""
    eccentricity: Annotated[float, tyro.conf.arg(help="How flat it is.", metavar="E")] = 0.0


@dataclasses.dataclass(frozen=True)
class Needy:
    """Needs flags."""

    model: Annotated[tuple[tuple[Path, ...], ...], tyro.conf.UseAppendAction]
    """Models."""
    data: Path
    """Directory."""
    seed: int = 0
    """Seed."""


@dataclasses.dataclass(frozen=True)
class Hang:
    """Hang a picture."""

    picture: tyro.conf.Positional[Path]
    """The picture."""
    wall: tyro.conf.Positional[str] = "north"
    """The wall."""
    height: float = 1.6
    """Height in metres."""
