"""Predictions as files of other programs; the suffix of the file is the format."""

import functools
import io
import shutil
import tempfile
from pathlib import Path

import numpy as np

from pipelines.atomic_files import write_atomically
from pipelines.errors import require
from socialmd_tf.export.formats import universe
from socialmd_tf.export.formats.libraries import check_library
from socialmd_tf.export.formats.text import write_csv, write_extxyz
from socialmd_tf.export.formats.trajectory import UNKNOWN_TYPE, trajectory, unknown_units

SUFFIXES = (".npz", ".csv", ".extxyz", *universe.SUFFIXES)


def check_suffix(path):
    """Refuse a file whose suffix is no format.

    Args:
        path: The file.

    Raises:
        UserError: The suffix is none of `SUFFIXES`.
    """
    require(path.suffix in SUFFIXES, "output", f"a file name that ends in {', '.join(SUFFIXES)}", str(path))


def check_format(path):
    """Refuse a file whose format needs a library that is not installed.

    Args:
        path: The file.

    Raises:
        UserError: The library is missing.
    """
    if path.suffix in universe.SUFFIXES:
        check_library("MDAnalysis", f"a {path.suffix} file")


def write_paths(path, observed, mean, samples, truth, *, times, length_unit, time_unit, types, box):
    """Write paths as .csv, .extxyz, .xtc, .dcd, .pdb or .h5md; each file is written whole or not at all.

    A .csv file holds all paths in the units of the data. Each of the other files holds one path in the units of its
    format: the observed frames and then the mean, or one of the samples (`x.sample-00.xtc`). Formats without names have
    a topology beside them, `x.topology.pdb`.

    Args:
        path: The file.
        observed: Frames `[T, N, D]`.
        mean: `[T', N, D]`.
        samples: `[S, T', N, D]`, or empty.
        truth: `[<= T', N, D]`, or empty; only .csv holds it.
        times: `[T + T']`.
        length_unit: Unit of the positions.
        time_unit: Unit of the times, or None.
        types: `[N]` names of the particles' types, or None.
        box: Lattice vectors in rows `[D, D]`, or None.

    Returns:
        Paths of the files that were written, and a sentence about units that are not known, or "".

    Raises:
        UserError: A library is missing, or the format cannot hold the positions or the box.
    """
    digits = max(2, len(str(len(samples) - 1)))
    drawn = {f"sample-{number:0{digits}d}": sample for number, sample in enumerate(samples)}
    if path.suffix == ".csv":
        later = {"mean": mean, **({"truth": truth} if len(truth) else {}), **drawn}
        parts = {"observed": (0, observed), **{name: (len(observed), part) for name, part in later.items()}}
        known = types or (UNKNOWN_TYPE,) * observed.shape[1]
        _write_text(path, lambda file: write_csv(file, parts, times, known))
        return [path], ""
    written = []
    for name, part in {"": mean, **drawn}.items():
        whole = trajectory(np.concatenate([observed, part]), times, length_unit, time_unit, types, box)
        written.append(path.with_suffix(f".{name}{path.suffix}") if name else path)
        _write_one(written[-1], whole)
        if not name and path.suffix in universe.WITHOUT_NAMES:
            topology = path.with_suffix(".topology.pdb")
            _write_elsewhere(topology, functools.partial(universe.write_topology, whole))
            written.append(topology)
    return written, unknown_units(length_unit, time_unit)


def _write_one(path, whole):
    if path.suffix == ".extxyz":
        _write_text(path, lambda file: write_extxyz(file, whole))
    else:
        _write_elsewhere(path, functools.partial(universe.write_universe, whole))


def _write_text(path, write):
    def encode(file):
        text = io.TextIOWrapper(file, encoding="utf-8", newline="\n")
        write(text)
        text.detach()  # flushes, and leaves the file open

    write_atomically(path, encode)


def _write_elsewhere(path, write):
    """Let a library that wants a file name write to a temporary directory, and copy the result."""
    with tempfile.TemporaryDirectory() as directory:
        temporary = Path(directory) / f"written{path.suffix}"
        write(temporary)
        with temporary.open("rb") as source:
            write_atomically(path, lambda file: shutil.copyfileobj(source, file))
