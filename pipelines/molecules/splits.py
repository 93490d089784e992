"""Division of frames, or of whole simulations, into training, validation and test splits."""

import itertools
from collections.abc import Sequence

import numpy as np

from pipelines.counts import counted
from pipelines.errors import UserError
from pipelines.molecules.config import SPLITS, MoleculesConfig


def cut(count: int, fractions: Sequence[float], splits: Sequence[str] = SPLITS) -> dict[str, range]:
    """Cut 0, ..., count - 1 into one stretch per split, in order.

    Split k ends before round(count * (f_0 + ... + f_k)).

    Args:
        count: Number of things.
        fractions: Shares of the splits; their sum is 1.
        splits: Their names.

    Returns:
        One stretch per split, without gaps or overlaps.
    """
    ends = [0, *(int(end) for end in np.floor(count * np.cumsum(fractions) + 0.5 - 1e-9))]
    ends[-1] = count
    return {split: range(*pair) for split, pair in zip(splits, itertools.pairwise(ends), strict=True)}


def cut_time(
    label: str, num_frames: int, fractions: Sequence[float], min_frames: int, splits: Sequence[str] = SPLITS
) -> dict[str, range]:
    """Cut the frames of a simulation; see `cut`.

    Args:
        label: Name of the simulation, for the message.
        num_frames: Number of its frames.
        fractions: Shares of the splits.
        min_frames: Smallest number of frames of each split with a share.
        splits: Their names.

    Returns:
        Frames of the splits.

    Raises:
        UserError: A split gets fewer frames.
    """
    parts = cut(num_frames, fractions, splits)
    for (split, frames), fraction in zip(parts.items(), fractions, strict=True):
        if fraction and len(frames) < min_frames:
            shares = " ".join(f"{share:g}" for share in fractions)
            part = f", of which the {split} split gets {len(frames)} (`--fractions {shares}`)" if fraction < 1 else ""
            raise UserError(
                f"{label}: {counted(num_frames, 'frame')}{part}; "
                f"expected at least `--min-frames` = {min_frames}, the length of one window"
            )
    return parts


def cut_simulations(num_simulations: int, fractions: Sequence[float]) -> list[str]:
    """Assign every simulation to a split.

    Args:
        num_simulations: Number of simulations.
        fractions: Shares of the splits.

    Returns:
        Names of splits `[num_simulations]`.

    Raises:
        UserError: A split with a share gets no simulation.
    """
    parts = cut(num_simulations, fractions)
    for (split, members), fraction in zip(parts.items(), fractions, strict=True):
        if fraction and not len(members):
            raise UserError(
                f"`fractions` must give each split a simulation or be 0: of {num_simulations} simulations, {split} "
                f"gets none. Received: {fractions}"
            )
    return [split for split, members in parts.items() for _ in members]


def named_splits(config: MoleculesConfig) -> list[str]:
    """The split of each trajectory of a configuration that names those for validation or testing."""
    named = dict.fromkeys(config.validation, "validation") | dict.fromkeys(config.test, "test")
    return [named.get(path, "train") for path in config.trajectory]
