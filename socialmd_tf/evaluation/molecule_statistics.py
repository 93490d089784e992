"""Summary statistics of molecules around a centre: radial distance, speed, solvent accessible surface area.

These are the statistics of the thesis's first experiment (section 3, figures 16 and 21). Paths are as in
`trajectory_statistics`.
"""

import dataclasses
import math

import numpy as np

from pipelines.boxes import minimum_image
from pipelines.molecules.solvent_accessible_area import accessible_areas
from socialmd_tf.evaluation.metrics import standard_error

_AREA_FRAMES = 8


@dataclasses.dataclass(frozen=True)
class Statistic:
    """One number per window and step."""

    title: str
    """Name for a reader."""
    power: int
    """Power of the unit of length."""
    steps: list
    """Predicted steps at which it is computed; the first is 1."""
    windows: list
    """Values at the steps, one array per window; NaN if the window has no such molecule."""


class MoleculeStatistics:
    """Statistics of the paths of all windows of one predictor, or of the truth, collected window by window.

    Args:
        known: The `KnownMolecules`.
        num_dimensions: D; the surface area is computed only in three dimensions, and not of a bulk liquid.
        num_steps: T'.
    """

    def __init__(self, known, num_dimensions, num_steps):
        self._known = known
        steps = list(range(1, num_steps + 1))
        self.statistics = {
            f"radial_distance_{name}": Statistic(f"mean distance of {name} from the centre", 1, steps, [])
            for name in known.names
            if known.is_centered
        }
        self.statistics["speed"] = Statistic("mean move between frames", 1, steps, [])
        if num_dimensions == 3 and known.has_surface:
            spread = np.linspace(1, num_steps, min(num_steps, _AREA_FRAMES)).round().astype(int).tolist()
            self.statistics["accessible_area"] = Statistic("solvent accessible surface area", 2, spread, [])

    def add(self, path, features, box=None):
        """Add a window.

        Args:
            path: `[T' + 1, n, D]`, real particles only, the last observed frame first.
            features: Names of the molecules, one-hot, and then perhaps the anchors `[n, F]`.
            box: Lattice vectors in rows `[D, D]`, or None in open space. Distances are to the nearest image of the
                centre, and images shield a surface.
        """
        path = np.asarray(path, np.float64)
        distances = np.linalg.norm(minimum_image(path[1:], box), axis=-1)
        for kind, name in enumerate(self._known.names if self._known.is_centered else ()):
            members = features[:, kind] > 0
            mean = distances[:, members].mean(axis=1) if members.any() else np.full(len(distances), math.nan)
            self.statistics[f"radial_distance_{name}"].windows.append(mean)
        self.statistics["speed"].windows.append(np.linalg.norm(np.diff(path, axis=0), axis=-1).mean(axis=1))
        if "accessible_area" in self.statistics:
            area = self.statistics["accessible_area"]
            radii = features[:, : len(self._known.radii)] @ np.array(self._known.radii)
            areas = [accessible_areas(path[step], radii, self._known.probe, box=box).sum() for step in area.steps]
            area.windows.append(np.array(areas))

    def join(self, other):
        """Add the windows of another object, which follow those of this one."""
        for name, statistic in self.statistics.items():
            statistic.windows.extend(other.statistics[name].windows)


def compare(rollout, truth, simulations):
    """Compare the statistics of a rollout with those of the truth on the same windows.

    Args:
        rollout: `MoleculeStatistics` of a predictor.
        truth: `MoleculeStatistics` of the truth.
        simulations: Number of the simulation that each window comes from `[W]`.

    Returns:
        Dictionary of `radial_distance_NAME`, the mean distance of the molecules called NAME from the centre; `speed`,
        the mean Euclidean move of a molecule per frame; and, in 3D, `accessible_area`, the solvent accessible surface
        area of all molecules. Each has `title`, `power` (of the unit of length), `steps`, the lists `rollout` and
        `truth` (means over windows at these steps), and

        - `error`: mean over windows and steps of |rollout - truth|, with `error_standard_error`, the standard error
          of the mean over simulations;
        - `relative_error`: `error` divided by the mean of the truth.
    """
    found = {}
    for name, true in truth.statistics.items():
        ours = np.array(rollout.statistics[name].windows)
        target = np.array(true.windows)
        there = ~np.isnan(target).any(axis=1)
        if not there.any():
            continue
        errors = np.abs(ours - target)[there].mean(axis=1)
        mean = float(target[there].mean())
        found[name] = {
            "title": true.title,
            "power": true.power,
            "steps": true.steps,
            "rollout": ours[there].mean(axis=0).tolist(),
            "truth": target[there].mean(axis=0).tolist(),
            "error": float(errors.mean()),
            "error_standard_error": _standard_error(errors, np.asarray(simulations)[there]),
            "relative_error": float(errors.mean()) / mean if mean else math.nan,
        }
    return found


def _standard_error(errors, simulations):
    """Standard error of the mean over simulations."""
    return standard_error([errors[simulations == number].mean() for number in np.unique(simulations)])
