"""Files of text: CSV and extended XYZ."""

import csv

from socialmd_tf.export.formats.atoms import LABEL


def write_csv(file, parts, times, types):
    """Write one row per frame and particle: path, frame, time, particle, type, x, y(, z).

    Args:
        file: An open text file.
        parts: Name -> number of its first frame and positions `[T, N, D]`, in the units of the data.
        times: `[T']` of all frames, from frame 0 on.
        types: `[N]` names of the particles' types.
    """
    (_, first), *_ = parts.values()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["path", "frame", "time", "particle", "type", *"xyz"[: first.shape[-1]]])
    for name, (start, positions) in parts.items():
        for frame, rows in enumerate(positions.tolist(), start):
            for particle, row in enumerate(rows):
                numbers = [f"{number:.9g}" for number in row]
                writer.writerow([name, frame, f"{times[frame]:.9g}", particle, types[particle], *numbers])


def write_extxyz(file, trajectory):
    """Write extended XYZ: lengths in angstrom, `time` in ps, the types in the column `label`.

    The species of all particles is X, because a particle need not be an element.

    Args:
        file: An open text file.
        trajectory: A `Trajectory`.
    """
    # Columns end at white space.
    labels = ["_".join(name.split()) or "_" for name in trajectory.types]
    constant = f'Properties=species:S:1:pos:R:3:{LABEL}:S:1 pbc="{_flags(trajectory.is_periodic)}"'
    if trajectory.box is not None:
        numbers = " ".join(f"{number:.9g}" for number in trajectory.box.ravel())
        constant = f'Lattice="{numbers}" {constant}'
    for positions, time in zip(trajectory.positions, trajectory.times, strict=True):
        file.write(f"{len(positions)}\n{constant} time={time:.9g}\n")
        for row, label in zip(positions.tolist(), labels, strict=True):
            file.write(f"X {' '.join(f'{number:.9g}' for number in row)} {label}\n")


def _flags(is_periodic):
    return " ".join("T" if flag else "F" for flag in is_periodic)
