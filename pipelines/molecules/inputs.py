"""Input files of a simulation: are they the ones that a dataset was made from?"""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.errors import UserError
from pipelines.fingerprint import Fingerprint, fingerprint, same_content
from pipelines.molecules.series import Simulation


def fingerprint_inputs(simulation: Simulation, known: Mapping[str, Any] | None = None) -> Fingerprint:
    """Fingerprint the topology and the trajectory files of a simulation.

    Args:
        simulation: The files.
        known: An earlier fingerprint of these files, which saves reading those that were not touched.

    Returns:
        One entry per file.

    Raises:
        UserError: A file cannot be read.
    """
    files = dict.fromkeys(map(str, (simulation.topology, *simulation.parts)))
    return fingerprint(Path(), list(files), known)


def check_inputs(simulation: Simulation, known: Mapping[str, Any], since: str) -> None:
    """Refuse inputs whose contents differ from an earlier fingerprint; moved and renamed files are the same.

    Args:
        simulation: The files.
        known: The earlier fingerprint, with its files in the same order.
        since: What happened at the time of the earlier fingerprint, such as "data/md was prepared".

    Raises:
        UserError: A file has changed, is missing or was added.
    """
    found = fingerprint_inputs(simulation, known)
    pairs = itertools.zip_longest(found, known.items())
    expected = {new if new is not None else old[0]: old[1] for new, old in pairs if old is not None}
    difference = same_content(expected, found)
    if difference:
        raise UserError(
            f"{simulation.label}: the input has changed since {since}: {difference}; expected the same files, or a new "
            "directory as `--output`"
        )
