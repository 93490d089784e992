"""Summary statistics of a path, frame by frame: the curves that an ensemble is scored by."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from pipelines.boxes import minimum_image
from pipelines.errors import UserError
from pipelines.molecules.solvent_accessible_area import accessible_areas
from socialmd_tf.evaluation.ensembles.pair_curves import pair_curves, shares

_MOST_LAGS = 20


@dataclasses.dataclass(frozen=True)
class System:
    """What does not change along the paths of one state of n particles."""

    kinds: np.ndarray
    """The group of each particle `[n]`."""
    features: np.ndarray
    """`[n, F]`."""
    box: np.ndarray | None
    """Lattice vectors `[D, D]` at the last observed frame, or None."""


@dataclasses.dataclass(frozen=True)
class Family:
    """A kind of statistic, for each group or pair of groups."""

    title: str
    """Name for a reader, with {} for the groups."""
    power: int
    """Power of the unit of length."""
    axes: tuple[str, ...]
    """What its axes are: "step" (every step), "spread" (some steps), "lag", "pair shell" or "center shell"."""
    lacks: Callable
    """Function of a `Setting`: the reason why a dataset cannot have it, or None."""


def _needs_center(setting):
    if setting.molecules is None:
        return "the dataset does not say that its particles are molecules around a centre"
    return None if setting.molecules.is_centered else "the positions of the dataset have no centre"


def _needs_radii(setting):
    if setting.molecules is None:
        return "the dataset does not state radii of molecules"
    if not setting.molecules.has_surface:
        return "a bulk liquid has no surface"
    return None if setting.num_dimensions == 3 else "the dataset has two dimensions"


def _needs_pairs(setting):
    return "no system has two particles" if math.isnan(setting.contact) else None


def _needs_lags(setting):
    return None if setting.num_steps > 2 else "it needs 3 predicted steps"


def _nothing(setting):
    return None


FAMILIES = {
    "radius": Family("mean distance of {} from the centre", 1, ("step",), _needs_center),
    "accessible_area": Family("solvent accessible surface area", 2, ("spread",), _needs_radii),
    "move": Family("mean move per frame of {}", 1, ("step",), _nothing),
    "displacement": Family("mean squared displacement of {}", 2, ("step",), _nothing),
    "contacts": Family("contacts of {}", 0, ("spread",), _needs_pairs),
    "residence": Family("contacts of {} that remain", 0, ("spread",), _needs_pairs),
    "radial_distribution": Family(
        "shares of {} in shells around the centre", 0, ("spread", "center shell"), _needs_center
    ),
    "pair_distribution": Family("pair distances of {}", 0, ("spread", "pair shell"), _needs_pairs),
    "velocity_autocorrelation": Family("autocorrelation of the moves of {}", 0, ("lag",), _needs_lags),
}
"""Name -> kind of statistic. The statistic of one group or pair is called NAME_GROUP or NAME_GROUP_GROUP."""


def choose(setting, wanted):
    """The families to compute.

    Args:
        setting: The `Setting`.
        wanted: Names of families; all that the dataset can have if empty.

    Returns:
        List of names, and dictionary of name -> reason for those that the dataset cannot have.

    Raises:
        UserError: A name is not known, or the dataset cannot have that statistic.
    """
    reasons = {name: family.lacks(setting) for name, family in FAMILIES.items()}
    for name in wanted:
        if name not in FAMILIES:
            raise UserError(f"`statistics` must be of {', '.join(FAMILIES)}. Received: {name!r}")
        if reasons[name]:
            raise UserError(f"`statistics` must be ones that the dataset can have. Received: {name!r}; {reasons[name]}")
    lacking = {name: reason for name, reason in reasons.items() if reason}
    return list(wanted) or [name for name in FAMILIES if name not in lacking], {} if wanted else lacking


def curves(path, system, setting, names):
    """The statistics of one path.

    With x_k(i) the position of particle i at step k = 0, ..., T' and averages over the particles of a group:

    - `radius`: mean of |x_k|; `move`: mean of |x_k - x_(k-1)|; `displacement`: mean of |x_k - x_0|^2;
    - `accessible_area`: see `accessible_areas`, summed over all particles;
    - `radial_distribution`: share of the group in each shell around the centre;
    - `velocity_autocorrelation` at lag l: sum of v_k . v_(k+l) over k and particles, over its value at lag 0 times the
      share of terms, with v_k = x_k - x_(k-1); 0 for particles at rest;
    - `contacts`, `residence`, `pair_distribution`: see `pair_curves`.

    Args:
        path: `[T' + 1, n, D]`, unwrapped, in units of length.
        system: The `System`.
        setting: The `Setting`.
        names: Names of families.

    Returns:
        Dictionary of statistic -> `[K]` or `[K, shells]`, K steps or lags; NaN where a group is empty.
    """
    found = {}
    if {"contacts", "residence", "pair_distribution"} & set(names):
        found |= {key: value for key, value in pair_curves(path, system, setting).items() if key[0] in names}
    if "accessible_area" in names:
        found["accessible_area", ""] = _areas(path, system, setting)
    for kind, group in enumerate(setting.groups.names):
        members = path[:, system.kinds == kind]
        for name in names:
            if name in _OF_GROUP:
                found[name, group] = _OF_GROUP[name](members, system, setting)
    return {"_".join(filter(None, key)): value for key, value in found.items()}


def statistics(setting, names):
    """Every statistic of these families: name -> (family, groups in its title)."""
    groups = setting.groups.names
    pairs = [(first, second) for place, first in enumerate(groups) for second in groups[place:]]
    found = {}
    for name in names:
        if name == "accessible_area":
            found[name] = name, ""
        elif "pair" in name or name in ("contacts", "residence"):
            found |= {f"{name}_{a}_{b}": (name, f"{a} and {b}" if a != b else a) for a, b in pairs}
        else:
            found |= {f"{name}_{group}": (name, group) for group in groups}
    return found


def _radius(members, system, setting):
    return _mean(np.linalg.norm(minimum_image(members[1:], system.box), axis=-1))


def _move(members, system, setting):
    return _mean(np.linalg.norm(np.diff(members, axis=0), axis=-1))


def _displacement(members, system, setting):
    return _mean(np.square(members[1:] - members[0]).sum(axis=-1))


def _radial(members, system, setting):
    radii = np.linalg.norm(minimum_image(members[setting.spread_steps], system.box), axis=-1)
    return np.stack([shares(row, setting.center_edges) for row in radii])


def _autocorrelation(members, system, setting):
    moves = np.diff(members, axis=0)
    lags = np.arange(1, min(_MOST_LAGS, setting.num_steps - 1) + 1)
    if not members.shape[1]:
        return np.full(len(lags), math.nan)
    zero = np.square(moves).sum() / len(moves)
    if zero == 0:
        return np.zeros(len(lags))
    return np.array([(moves[lag:] * moves[:-lag]).sum() / (len(moves) - lag) for lag in lags]) / zero


def _areas(path, system, setting):
    radii = setting.radii(system.features)
    probe = setting.molecules.probe
    return np.array([accessible_areas(path[k], radii, probe, box=system.box).sum() for k in setting.spread_steps])


def _mean(values):
    """Mean over particles of `[K, m]`; NaN without particles."""
    return values.mean(axis=1) if values.shape[1] else np.full(len(values), math.nan)


_OF_GROUP = {
    "radius": _radius,
    "move": _move,
    "displacement": _displacement,
    "radial_distribution": _radial,
    "velocity_autocorrelation": _autocorrelation,
}
