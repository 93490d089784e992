"""Records of the simulations of an N-body dataset, and their summary for the user."""

import dataclasses
import json
from pathlib import Path

import numpy as np

from pipelines.counts import counted
from pipelines.errors import UserError


@dataclasses.dataclass(frozen=True)
class Record:
    """An accepted simulation in three numbers."""

    attempts: int
    """Number of draws, of which the last was accepted."""
    energy_error: float
    """max |E - E0| / K0 over the stored frames."""
    closest_approach: float
    """Smallest distance between two particles over the stored frames."""

    @classmethod
    def load(cls, path: Path) -> "Record":
        """Read a record from its JSON file.

        Raises:
            UserError: The file does not hold a record.
        """
        try:
            return cls(**json.loads(path.read_text()))
        except (ValueError, TypeError):
            raise UserError(f"{path}: not the record of a simulation; delete it to make the simulation again") from None


@dataclasses.dataclass(frozen=True)
class Summary:
    """Summary of a dataset; `str` gives the report for the user."""

    directory: Path
    """Directory of the dataset."""
    records: tuple[Record, ...]
    """One record per simulation."""
    was_complete: bool
    """Whether the dataset was complete before."""

    @property
    def redrawn(self) -> int:
        """Number of refused draws."""
        return sum(record.attempts for record in self.records) - len(self.records)

    def statistics(self) -> dict[str, object]:
        """Counts, energy errors and closest approach, as stored in `dataset.json`."""
        errors = [record.energy_error for record in self.records]
        return {
            "accepted": len(self.records),
            "redrawn": self.redrawn,
            "energy_error": {"median": float(np.median(errors)), "maximum": max(errors)},
            "closest_approach": min(record.closest_approach for record in self.records),
        }

    def __str__(self) -> str:
        errors = np.quantile([record.energy_error for record in self.records], [0.5, 0.9, 1.0])
        closest = min(record.closest_approach for record in self.records)
        lines = [
            f"{self.directory}: {counted(len(self.records), 'simulation')} accepted, "
            f"{counted(self.redrawn, 'draw')} redrawn",
            "max |E - E0| / K0: median {:.1e}, 90 % quantile {:.1e}, largest {:.1e}".format(*errors),
            f"closest approach in the stored frames: {closest:.3f}",
        ]
        if self.redrawn:
            lines.append(
                "Systems with encounters too close for the time step were redrawn: "
                "close encounters are under-represented in the dataset."
            )
        if self.was_complete:
            lines.insert(0, "The dataset was complete already; nothing was done.")
        return "\n".join(lines)
