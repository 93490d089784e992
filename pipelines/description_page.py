"""The description of a dataset as text of at most 100 columns."""

import textwrap

from pipelines.counts import count, counted
from pipelines.description import Description
from pipelines.motion import Moves

WIDTH = 100
_LABEL = 14
_KINDS = {
    "still": "no particle moves",
    "smooth": "ballistic and smooth: velocities change little by little, as under forces",
    "kicked": "ballistic with random kicks: velocities last for some frames, but change at random",
    "random": "diffusive: a move says little about the next one",
    "unknown": "unknown: there are too few frames to tell ballistic from diffusive motion",
}
_EXPONENTS = "1 under forces, 0.5 with random kicks, 0 in diffusion"


def entry(label: str, text: str) -> str:
    """A label and a text beside it, wrapped."""
    indent = " " * (_LABEL + 2)
    first = f"  {label:<{_LABEL}}"
    return textwrap.fill(
        text, WIDTH, initial_indent=first, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def page(description: Description) -> list[str]:
    """Lines about the data and their motion.

    Args:
        description: The facts.
    """
    return [*_data_lines(description), "", *_motion_lines(description)]


def _data_lines(description: Description) -> list[str]:
    manifest = description.manifest
    lines = ["Data", entry("name", manifest.name)]
    lines += [
        entry("files" if place == 0 else "", _split_text(split, frames))
        for place, (split, frames) in enumerate(description.num_frames.items())
    ]
    lines += [entry("re-runs", counted(len(manifest.reruns), "file"))] if manifest.reruns else []
    lines += [
        entry("particles", f"{_span(description.num_particles)} per file, in {manifest.num_dimensions} dimensions"),
        entry("features", _features(description)),
        entry("positions", f"{_columns(description, 'xyz')}; {_unit('length unit', manifest.length_unit)}"),
        entry("box", _box(description)),
    ]
    if description.num_bonds is not None:
        lines.append(entry("bonds", f"{_span(description.num_bonds)} per file"))
    interval = f"{manifest.time_between_frames:g} between stored frames"
    lines.append(entry("time", f"{interval}; {_unit('time unit', manifest.time_unit)}"))
    return [*lines, entry("faults", f"none in {counted(len(manifest.files) + len(manifest.reruns or {}), 'file')}")]


def _split_text(split: str, frames: tuple[int, ...]) -> str:
    if not frames:
        return f"{split}: none"
    files = counted(len(frames), "file")
    each = " each" if min(frames) == max(frames) and len(frames) > 1 else ""
    total = f", {count(sum(frames))} in all" if len(frames) > 1 else ""
    return f"{split}: {files} of {_span((min(frames), max(frames)))} frames{each}{total}"


def _span(bounds: tuple[int, int]) -> str:
    low, high = bounds
    return count(low) if low == high else f"{count(low)} to {count(high)}"


def _unit(what: str, unit: str | None) -> str:
    return f"{what} not stated" if unit in (None, "1") else f"{what} {unit}"


def _columns(description: Description, names: object) -> str:
    chosen = {name: bounds for name, bounds in description.ranges.items() if name in names}  # type: ignore[operator]
    texts = [f"{name} {low:.3g} to {high:.3g}" for name, (low, high) in chosen.items()]
    return f"{', '.join(texts)} (in the sample below)" if texts else ""


def _features(description: Description) -> str:
    velocities = "; observed velocities" if description.manifest.velocity_start is not None else ""
    return (_columns(description, description.manifest.particle_features) or "none") + velocities


def _box(description: Description) -> str:
    if description.boxes is None:
        return "none, and no jumps like those of wrapped positions"
    low, high = description.boxes
    edges = [
        "open" if longest == 0 else f"{longest:.4g}" if shortest == longest else f"{shortest:.4g} to {longest:.4g}"
        for shortest, longest in zip(low, high, strict=True)
    ]
    text = f"{' x '.join(edges)}, periodic, {'constant' if description.is_box_constant else 'changing'}; positions "
    if description.crossing is None:
        return text + "go on across its faces (not wrapped)"
    file, frame, particle = description.crossing
    return text + f"are wrapped into it (first seen in {file}, frame {frame}, particle {particle})"


def _motion_lines(description: Description) -> list[str]:
    sample, motion = description.sample, description.motion
    longest = max(description.num_frames[sample.split])
    lines = [
        f"Motion (measured on {len(sample.files)} of {count(sample.num_files)} files of {sample.split}, "
        f"{count(sample.num_frames)} of {count(longest)} frames, "
        f"{count(sample.num_particles)} of {count(description.num_particles[1])} particles)"
    ]
    if motion.moves:
        lines += [_row("frames apart", "RMS move", "mean move", "correlation", "bend"), *map(_moves_row, motion.moves)]
        lines += [
            entry("correlation", "of a move with the next one: 1 straight on, 0 random, below 0 turning back"),
            entry("bend", "typical change from one move to the next, divided by a typical move (medians)"),
            entry("drift", f"the mean move of all particles is {100 * motion.drift:.2g} % of the RMS move"),
        ]
    if motion.finest > 1:
        lines.append(entry("noise", f"over less than {motion.finest} frames, noise or rounding hides the motion"))
    growth = "" if motion.growth is None else f"; bends grow as frames^{motion.growth:.2f} ({_EXPONENTS})"
    return [*lines, entry("kind", _KINDS[motion.kind] + growth)]


def _moves_row(moves: Moves) -> str:
    bend = f"{moves.bend:.2f}" if moves.bend >= 1 else f"{moves.bend:.2g}"
    return _row(f"{moves.stride}", f"{moves.rms:.3g}", f"{moves.mean:.3g}", f"{moves.correlation:.3f}", bend)


def _row(*cells: str) -> str:
    return "  " + "".join(f"{cell:>14}" for cell in cells)
