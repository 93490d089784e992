"""The law of a simulated dataset, read from its manifest: what is needed to continue its trajectories."""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.errors import UserError
from pipelines.laws.config import CoulombConfig, LawConfig, SpringsConfig
from pipelines.laws.dataset import features_of
from pipelines.laws.integrate import advance
from pipelines.laws.simulate import LAWS, law_of
from pipelines.laws.systems import Array, Systems
from pipelines.manifest import Manifest
from pipelines.nbody.shooting import velocities_at_the_end

_STEPS_OF_UNIT_COST = 20


@dataclasses.dataclass(frozen=True)
class KnownLaw:
    """The law of a dataset of `pipelines.laws`; the methods are those of `pipelines.known_forces.KnownForces`.

    Boxes are those of the configuration, and pairs act between nearest images.
    """

    config: LawConfig
    """The configuration."""

    def masses(self, features: Array) -> Array:
        """All masses are 1: `[N]`."""
        return np.ones(features.shape[:-1])

    def potential_energy(self, positions: Array, features: Array, edges: npt.NDArray[np.integer] | None) -> Array:
        """Energies `[K]`."""
        count = len(positions)
        systems = self._systems(
            positions, np.repeat(features[None], count, axis=0), None if edges is None else edges[None].repeat(count, 0)
        )
        energies: Array = law_of(self.config).potential_energy(self.config, systems)
        return energies

    def continue_from(
        self,
        frames: Array,
        features: Array,
        mask: npt.NDArray[np.bool_],
        edges: npt.NDArray[np.integer] | None,
        *,
        interval: float,
        num_frames: int,
        velocities: Array | None = None,
    ) -> Array:
        """Positions `[S, T', N, D]`, integrated with friction and without the random forces that accompany it.

        With random forces this is the motion that would follow without them, which is near the mean of all motions
        for short times.
        """
        result = np.repeat(frames[:, 1:], num_frames, axis=1)
        counts = mask.sum(axis=1)
        # Systems of one size at a time, because padded particles would interact.
        for count in np.unique(counts):
            rows = np.flatnonzero(counts == count)
            bonds = None if edges is None else edges[rows, :count, :count]
            systems = self._systems(frames[rows, 1, :count], features[rows, :count], bonds)
            known = None if velocities is None else velocities[rows, :count]
            predicted = self._continue(systems, frames[rows, 0, :count], known, interval, num_frames)
            usable = np.isfinite(predicted).all(axis=(1, 2, 3))
            result[rows[usable], :, :count] = predicted[usable]
        return result

    def cost_of_frame(self, interval: float) -> float:
        """In units of that of an N-body system, measured on Lennard-Jones liquids of 64 particles."""
        return self._num_steps(interval) / _STEPS_OF_UNIT_COST

    def _num_steps(self, interval: float) -> int:
        return max(1, round(interval / self.config.time_step))

    def _systems(self, positions: Array, features: Array, edges: npt.NDArray[np.integer] | None) -> Systems:
        """Systems at rest with positions `[S, N, D]`."""
        num_systems, num_particles, _ = positions.shape
        if edges is None:
            edges = np.zeros((num_systems, num_particles, num_particles), np.int64)
        charges = features[..., 0] if _has_charges(self.config) else np.zeros((num_systems, num_particles))
        return Systems(positions, np.zeros_like(positions), edges.astype(np.int64), charges)

    def _continue(
        self, systems: Systems, previous: Array, velocities: Array | None, interval: float, num_frames: int
    ) -> Array:
        accelerations = law_of(self.config).accelerations(self.config, systems)
        num_steps = self._num_steps(interval)

        def step(positions: Array, velocities: Array) -> tuple[Array, Array]:
            return advance(
                positions,
                velocities,
                accelerations,
                time_step=interval / num_steps,
                num_steps=num_steps,
                friction=self.config.friction,
            )

        def flow(positions: Array, velocities: Array) -> tuple[Array, Array]:
            moved = step(positions.T, velocities.T)
            return moved[0].T, moved[1].T

        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            positions = systems.positions
            if velocities is None:
                velocities = velocities_at_the_end(previous.T, positions.T, flow, interval).T
            predicted = []
            for _ in range(num_frames):
                positions, velocities = step(positions, velocities)
                predicted.append(positions)
        return np.stack(predicted, axis=1)


def known_law(manifest: Manifest) -> KnownLaw | None:
    """Read the law of a dataset from its provenance.

    It is known if the manifest names the law and its valid configuration, and has the features, the box and the bonds
    that follow from it.

    Args:
        manifest: The manifest of the dataset.

    Returns:
        The law, or None if it is not known.
    """
    name, values = manifest.provenance.get("law"), manifest.provenance.get("config")
    if not isinstance(name, str) or name not in LAWS or not isinstance(values, dict):
        return None
    kind, law = LAWS[name]
    try:
        config = kind(**values)
    except (TypeError, UserError):
        return None
    box = law.box(config)
    fits = (
        config.num_dimensions == manifest.num_dimensions
        and manifest.features == features_of(config)
        and _equal_boxes(manifest.box, box)
        and (manifest.edges is not None) == isinstance(config, SpringsConfig)
    )
    return KnownLaw(config) if fits else None


def _has_charges(config: LawConfig) -> bool:
    return isinstance(config, CoulombConfig)


def _equal_boxes(stated: Any, expected: Array | None) -> bool:
    if stated is None or expected is None:
        return stated is None and expected is None
    box = np.asarray(stated, np.float64)
    return box.shape == expected.shape and np.allclose(box, expected)
