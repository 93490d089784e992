"""What the statistics of paths need to know of a dataset, the same for every path."""

import dataclasses
import math

import numpy as np

from pipelines.boxes import half_height, minimum_image
from pipelines.molecules.known_molecules import KnownMolecules, known_molecules
from socialmd_tf.evaluation.ensembles.groups import Groups, find_groups

NUM_SHELLS = 8
_SPREAD_STEPS = 24
_CONTACT = 1.5
_REACH = 0.9
_PAIRS = 1 << 22


@dataclasses.dataclass(frozen=True)
class Setting:
    """Facts about a dataset, and the steps and shells of its statistics."""

    groups: Groups
    """The groups of particles."""
    own_features: np.ndarray
    """Places of the manifest's `own_features` among `particle_features`."""
    num_dimensions: int
    """D."""
    num_steps: int
    """T'."""
    molecules: KnownMolecules | None
    """Radii and centre, if the particles are known to be molecules."""
    contact: float | None
    """Distance below which a pair of other particles is in contact; of molecules it follows from their radii."""
    pair_edges: np.ndarray
    """Edges of the shells of pair distances `[NUM_SHELLS + 1]`."""
    center_edges: np.ndarray
    """Edges of the shells around the centre."""

    @property
    def spread_steps(self):
        """Up to 24 steps from 1 to T', evenly spread: those of statistics that cost more."""
        return np.unique(np.linspace(1, self.num_steps, min(self.num_steps, _SPREAD_STEPS)).round().astype(int))

    def kinds(self, features):
        """The group of each particle `[n]`, from the `particle_features` `[n, F]`."""
        return self.groups.of(features[:, self.own_features])

    def radii(self, features):
        """Radii of molecules `[n]`."""
        return features[:, : len(self.molecules.radii)].astype(float) @ np.array(self.molecules.radii)

    def contact_distances(self, features, first, second):
        """Distances below which pairs are in contact `[P]`: no solvent molecule fits between two molecules."""
        if self.molecules is None:
            return np.full(len(first), self.contact)
        radii = self.radii(features)
        return radii[first] + radii[second] + 2 * self.molecules.probe


def find_setting(manifest, starts, others, num_steps):
    """Find the setting of a dataset; shells and contacts are fixed by the observed frames.

    Args:
        manifest: The `Manifest`.
        starts: The last observed frame of every state: positions `[n, D]`, `particle_features` `[n, F]`, and lattice
            vectors `[D, D]` or None.
        others: `particle_features` of other systems, each `[n, F]`, whose particles can be of further groups.
        num_steps: T'.

    Returns:
        `Setting`. Shells of pairs reach up to the 90 % quantile of pair distances, in a periodic box to half its width;
        shells around the centre to the outermost molecule. Particles other than molecules are in contact closer than
        1.5 times the median distance to the nearest particle.
    """
    names = list(manifest.particle_features)
    own = np.array([names.index(name) for name in manifest.own_features], int)
    molecules = known_molecules(manifest)
    contact, reach = _distances(starts)
    known = [features for _, features, _ in starts]
    outermost = max(np.linalg.norm(minimum_image(positions, box), axis=-1).max() for positions, _, box in starts)
    return Setting(
        groups=find_groups(manifest.own_features, [each[:, own] for each in (*others, *known)]),
        own_features=own,
        num_dimensions=manifest.num_dimensions,
        num_steps=num_steps,
        molecules=molecules,
        contact=contact,
        pair_edges=np.linspace(0, reach, NUM_SHELLS + 1),
        center_edges=np.linspace(0, outermost, NUM_SHELLS + 1),
    )


def _distances(starts):
    """Contact distance and reach of pairs; NaN if no system has two particles.

    In large systems those of some particles to all others.
    """
    nearest, every, largest = [], [], math.inf
    for positions, _, box in starts:
        count = len(positions)
        if count < 2:
            continue
        chosen = np.unique(np.linspace(0, count - 1, min(max(_PAIRS // count, 1), count)).round().astype(int))
        distances = np.linalg.norm(minimum_image(positions[chosen, None] - positions, box), axis=-1)
        distances[np.arange(len(chosen)), chosen] = math.inf
        nearest.append(distances.min(axis=1))
        every.append(np.quantile(distances[np.isfinite(distances)], _REACH))
        largest = min(largest, math.inf if box is None else half_height(box))
    if not nearest:
        return math.nan, math.nan
    return _CONTACT * float(np.median(np.concatenate(nearest))), min(float(np.mean(every)), largest)
