"""What a dataset of molecules holds, for the user and for `dataset.json`."""

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.counts import counted
from pipelines.molecules.config import SPLITS, MoleculesConfig
from pipelines.molecules.records import Record

_DOUBTFUL_MOVE = 0.8
_DOUBTFUL_SHARE = 0.1
_LISTED_NAMES = 20


@dataclasses.dataclass(frozen=True)
class Summary:
    """What a dataset holds; `str` of it is the report for the user."""

    directory: Path
    """Directory of the dataset."""
    config: MoleculesConfig
    """Its configuration."""
    records: tuple[Record, ...]
    """One per simulation."""
    was_complete: bool
    """Whether nothing was left to do."""
    reruns: tuple[Record, ...] = ()
    """One per re-run."""

    def statistics(self) -> dict[str, Any]:
        """Frames, molecules, jumps and thinness, as in `dataset.json`."""
        statistics: dict[str, Any] = {
            "simulations": len(self.records),
            "frames": [record.num_frames for record in self.records],
            "particles": [len(record.particles) for record in self.records],
            "molecules": dict(self._counts()),
            "periodic_axes": sorted({record.periodic_axes for record in self.records}),
            "periodic_jumps": sum(record.num_jumps for record in self.records),
            "largest_move_in_half_boxes": max(record.largest_move for record in self.records),
            "notes": self._notes(),
        }
        if self.config.has_anchors:
            statistics["anchor_move"] = self._anchor_move()
        slices = self._slices()
        if slices:
            statistics["slices"] = {
                "members": [min(map(len, slices["members"])), max(map(len, slices["members"]))],
                "share_of_particles_in_a_slice": self._coverage(),
                "share_outside": np.mean(slices["share_outside"], axis=0).tolist(),
                "off_plane": np.mean(slices["off_plane"], axis=0).tolist(),
            }
        return statistics

    def _counts(self) -> Counter[str]:
        return sum((Counter(record.molecules) for record in self.records), Counter())

    def _slices(self) -> dict[str, list[Any]]:
        pieces = [piece for record in self.records for piece in record.slices]
        return {key: [piece[key] for piece in pieces] for key in (pieces[0] if pieces else ())}

    def _coverage(self) -> float:
        covered = [set().union(*(piece["members"] for piece in record.slices)) for record in self.records]
        return sum(map(len, covered)) / sum(len(record.particles) for record in self.records)

    def __str__(self) -> str:
        lines = ["The dataset was complete already; nothing was done."] if self.was_complete else []
        first = self.records[0]
        lines += [
            f"{self.directory}: {counted(len(self.records), 'simulation')}, {self.config.num_dimensions}D, "
            f"positions in {self.config.length_unit}",
            *self._molecule_lines(),
            f"frames: {sum(record.num_frames for record in self.records)}, {first.time_between_frames:g} ps apart; "
            "files: " + ", ".join(f"{split} {self._num_files(split)}" for split in SPLITS),
            *self._anchor_lines(),
            *self._rerun_lines(),
            *self._motion_lines(),
            *self._notes(),
            *self._slice_lines(),
        ]
        return "\n".join(lines)

    def _num_files(self, split: str) -> int:
        return sum(len(record.files.get(split, ())) for record in self.records)

    def _molecule_lines(self) -> list[str]:
        counts = self._counts()
        kept = [f"{counts[name]} {name} ({self._size(name)})" for name in self.config.molecules]
        others = [f"{count} {name}" for name, count in counts.most_common() if name not in self.config.molecules]
        more = f" and {len(others) - _LISTED_NAMES} more names" if len(others) > _LISTED_NAMES else ""
        lines = [f"molecules: {', '.join(kept)}"]
        return [*lines, f"not kept: {', '.join(others[:_LISTED_NAMES])}{more}"] if others else lines

    def _size(self, name: str) -> str:
        sizes = [record.sizes[name] for record in self.records if name in record.sizes]
        low, high = min(size[0] for size in sizes), max(size[1] for size in sizes)
        return f"{low if low == high else f'{low} to {high}'} atom{'s' if high > 1 else ''} each"

    def _anchor_move(self) -> float:
        """How far the anchors move, in the length unit: the largest of the simulations."""
        return max(record.anchor_move or 0.0 for record in self.records) / self.config.units_in_angstrom

    def _anchor_lines(self) -> list[str]:
        if not self.config.has_anchors:
            return []
        count = sum(len(set(record.anchors or ())) for record in self.records)
        return [
            f"anchors: {count} atoms hold the molecules, at their positions in the first frame; at the end they are "
            f"{self._anchor_move():.3g} {self.config.length_unit} from there (root mean square)"
        ]

    def _rerun_lines(self) -> list[str]:
        if not self.reruns:
            return []
        originals = {record.restarts["of"] for record in self.reruns if record.restarts}
        return [f"re-runs: {len(self.reruns)}, of {counted(len(originals), 'file')}"]

    def _motion_lines(self) -> list[str]:
        axes = {record.periodic_axes for record in self.records}
        if axes == {""}:
            return ["no periodic box in the trajectory: nothing was unwrapped"]
        jumps = sum(record.num_jumps for record in self.records)
        move = max(record.largest_move for record in self.records)
        along = " or ".join(", ".join(each) or "no axis" for each in sorted(axes, reverse=True))
        lines = [
            f"box periodic along {along}: {jumps or 'no'} jumps removed; longest move between frames: {move:.2f} of "
            "half the box"
        ]
        lines += self._box_lines()
        if move > _DOUBTFUL_MOVE:
            lines.append("Moves near half the box may be confused with their images: the frames are too far apart.")
        return lines

    def _box_lines(self) -> list[str]:
        filled = any(record.fills_box for record in self.records)
        if not self.records[0].keeps_box:
            lost = " although the particles fill it: particles at opposite faces are no longer neighbours"
            return [f"The dataset does not have the box{lost if filled else ''}; see --box."]
        reason = ", which the particles fill" if filled else ""
        lines = [f"The dataset has the box{reason}: particles at opposite faces are neighbours; see --box."]
        boxes = [record.box for record in (*self.records, *self.reruns)]
        if None in boxes:
            lines.append("The box changes in time; `box_files` has that of every frame.")
        elif any(box != boxes[0] for box in boxes):
            lines.append("Files have different boxes; `box_files` has them.")
        return lines

    def _notes(self) -> list[str]:
        """What the user should know about how the files were read."""
        sources: dict[str, list[str]] = {}
        for record in self.records:
            for note in record.notes:
                sources.setdefault(note, []).append(record.topology)
        reading = [
            f"{files[0]}{f' and {len(files) - 1} more' if len(files) > 1 else ''}: {note}"
            for note, files in sources.items()
        ]
        totals = {
            "frames that state no box, for which the box of the frames before was used": "boxes_carried_on",
            "frames without positions (velocities or forces only), which were skipped": "without_positions",
            "files that end early, whose complete frames were used": "incomplete",
        }
        counts = {text: sum(getattr(record, name) for record in self.records) for text, name in totals.items()}
        kept = [f"one frame in {self.config.stride} was kept (--stride)"] if self.config.stride > 1 else []
        return [*reading, *kept, *(f"{text}: {count}" for text, count in counts.items() if count)]

    def _slice_lines(self) -> list[str]:
        slices = self.statistics().get("slices")
        half_thickness = self.config.slice_half_thickness
        if slices is None or half_thickness is None:
            return []
        low, high = slices["members"]
        outside, off_plane = slices["share_outside"], slices["off_plane"]
        lines = [
            f"slices: {self.config.num_slices} per simulation, {low} to {high} molecules each, "
            f"{slices['share_of_particles_in_a_slice']:.0%} of the molecules in at least one",
            f"members beyond +-{half_thickness:g} {self.config.length_unit} at the start, 1/4, 1/2, 3/4 and the end: "
            + ", ".join(f"{share:.1%}" for share in outside),
            "distance from the plane over distance from the axis at these times: "
            + ", ".join(f"{ratio:.2f}" for ratio in off_plane),
        ]
        if outside[-1] > _DOUBTFUL_SHARE:
            lines.append("The slices do not stay thin: in the flat frames, molecules pass through each other.")
        return lines
