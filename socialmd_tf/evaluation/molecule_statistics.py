"""Summary statistics of molecules about a centre: how far out they are, how fast they are, how much of them is wet.

What the thesis's first experiment wanted to know (section 3, figures 16 and 21). A path is as in `observables`.
"""

import dataclasses
import math

import numpy as np

from pipelines.molecules.solvent_accessible_area import accessible_areas

_AREA_FRAMES = 8


@dataclasses.dataclass(frozen=True)
class Statistic:
    """A number of every window and step."""

    title: str
    """What it is, for people."""
    power: int
    """Of the unit of length."""
    steps: list
    """The predicted steps it is taken at, from 1."""
    windows: list
    """Of every window its values at the steps; NaN where the window has no such molecule."""


class MoleculeStatistics:
    """Statistics of the paths of all windows of one predictor, or of the truth, gathered window by window.

    Args:
        known: The `KnownMolecules`.
        num_dimensions: D; flat slices have no surface.
        num_steps: T'.
    """

    def __init__(self, known, num_dimensions, num_steps):
        self._known = known
        steps = list(range(1, num_steps + 1))
        self.statistics = {
            f"radial_distance_{name}": Statistic(f"mean distance of {name} from the centre", 1, steps, [])
            for name in known.names
        }
        self.statistics["speed"] = Statistic("mean move between frames", 1, steps, [])
        if num_dimensions == 3:
            spread = np.linspace(1, num_steps, min(num_steps, _AREA_FRAMES)).round().astype(int).tolist()
            self.statistics["accessible_area"] = Statistic("solvent accessible surface area", 2, spread, [])

    def add(self, path, features):
        """Count a window.

        Args:
            path: `[T' + 1, n, D]`, real particles only, the last observed frame first.
            features: Their names, one-hot `[n, F]`.
        """
        path = np.asarray(path, np.float64)
        distances = np.linalg.norm(path[1:], axis=-1)
        for kind, name in enumerate(self._known.names):
            members = features[:, kind] > 0
            mean = distances[:, members].mean(axis=1) if members.any() else np.full(len(distances), math.nan)
            self.statistics[f"radial_distance_{name}"].windows.append(mean)
        self.statistics["speed"].windows.append(np.linalg.norm(np.diff(path, axis=0), axis=-1).mean(axis=1))
        if "accessible_area" in self.statistics:
            area = self.statistics["accessible_area"]
            radii = features @ np.array(self._known.radii)
            area.windows.append(
                np.array([accessible_areas(path[step], radii, self._known.probe).sum() for step in area.steps])
            )


def compare(rollout, truth, trajectories):
    """How the statistics of a rollout differ from those of the truth on the same windows.

    Args:
        rollout: `MoleculeStatistics` of a predictor.
        truth: Those of the truth.
        trajectories: For every window the trajectory it comes from `[W]`.

    Returns:
        Dictionary of `radial_distance_NAME`, for every name the mean distance of its molecules from the centre,
        `speed`, the mean Euclidean move of a molecule from frame to frame, and, in 3D, `accessible_area`, the solvent
        accessible surface area of all molecules. Each has `title`, `power` (of the unit of length), `steps`, lists over
        these steps of the means over windows, `rollout` and `truth`, and

        - `error`: the mean over windows and steps of |rollout - truth|, both of one window at one step, and
          `error_standard_error`, that of the mean over trajectories;
        - `relative_error`: the same by the mean of the truth.
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
            "error_standard_error": _standard_error(errors, np.asarray(trajectories)[there]),
            "relative_error": float(errors.mean()) / mean if mean else math.nan,
        }
    return found


def by_predictor(results):
    """What `compare` gave of every predictor, and of those that draw paths that of the drawn ones beside it.

    Args:
        results: Dictionary of name -> what `Judging.judge` gives.

    Returns:
        Dictionary of name, or "name, drawn", -> statistics; empty for data that are not of molecules.
    """
    found = {}
    for name, result in results.items():
        for key, label in (("molecules", name), ("molecules_drawn", f"{name}, drawn")):
            if result.get(key):
                found[label] = result[key]
    return found


def _standard_error(errors, trajectories):
    """Standard error of the mean over trajectories; NaN for a single one."""
    means = [errors[trajectories == name].mean() for name in np.unique(trajectories)]
    return float(np.std(means, ddof=1) / np.sqrt(len(means))) if len(means) > 1 else math.nan
