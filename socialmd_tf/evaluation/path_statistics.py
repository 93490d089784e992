"""All statistics of whole paths of one predictor, or of the truth, collected batch by batch."""

from functools import partial

import numpy as np

from pipelines.known_forces import known_forces
from pipelines.molecules.known_molecules import known_molecules
from socialmd_tf.evaluation import molecule_statistics, trajectory_statistics
from socialmd_tf.evaluation.close_encounters import MOST_PARTICLES
from socialmd_tf.evaluation.molecule_statistics import MoleculeStatistics
from socialmd_tf.evaluation.trajectory_statistics import Start, TrajectoryStatistics


class PathStatistics:
    """Statistics of paths; for datasets of molecules also those of molecules.

    Args:
        manifest: The `Manifest` of the dataset.
        windows: The `CommonWindows`.
    """

    def __init__(self, manifest, windows):
        self._features = manifest.particle_features
        self._reference = windows.reference
        self._interval = windows.reference.subsample * manifest.time_between_frames
        self._forces, molecules = known_forces(manifest), known_molecules(manifest)
        self.trajectories = TrajectoryStatistics(windows.spacing * manifest.time_between_frames)
        self.molecules = None
        """`MoleculeStatistics`, or None if the particles are not known to be molecules."""
        if molecules is not None:
            self.molecules = MoleculeStatistics(molecules, manifest.num_dimensions, windows.num_steps)

    def add(self, batch, positions):
        """Add the windows of a batch.

        Args:
            batch: A `Batch` of the common windows.
            positions: Positions at the common frames `[B, T', N, D]`, predicted or true.
        """
        inputs = batch.inputs(self._reference)
        observed = inputs["positions"][:, -2:]
        paths = np.concatenate([observed[:, -1:], positions], axis=1)
        boxes = inputs.get("box", np.zeros((len(paths), 0)))
        alike = np.column_stack([batch.mask.sum(axis=1), boxes.reshape(len(paths), -1)])
        _, group = np.unique(alike, axis=0, return_inverse=True)
        for number in range(group.max() + 1):
            windows = np.flatnonzero(group.ravel() == number)
            real = batch.mask[windows[0]] > 0
            starts = []
            for window in windows:
                box, edges = (inputs[name][window] if name in inputs else None for name in ("box", "edges"))
                bonds = None if edges is None else edges[real][:, real]
                starts.append(self._start(observed[window][:, real], batch.features[window][real], box, bonds))
            self.trajectories.add(paths[windows][:, :, real], starts)
        if self.molecules is not None:
            for window, real in enumerate(batch.mask > 0):
                box = None if "box" not in inputs else np.asarray(inputs["box"][window], np.float64)
                self.molecules.add(paths[window][:, real], batch.features[window][real], box)

    def join(self, other):
        """Add the windows of another object, which follow those of this one."""
        self.trajectories.join(other.trajectories)
        if self.molecules is not None:
            self.molecules.join(other.molecules)

    def _start(self, frames, features, box, edges):
        features = features.astype(float)
        masses = dict(zip(self._features, features.T, strict=True)).get("mass")
        energy = None
        if self._forces is not None:
            masses = self._forces.masses(features)
        if self._forces is not None and len(features) <= MOST_PARTICLES:
            energy = partial(self._forces.potential_energy, features=features, edges=edges)
        box = None if box is None else np.asarray(box, np.float64)
        return Start(frames.astype(float), self._interval, masses, energy, box)

    def compare(self, truth):
        """Compare with the `PathStatistics` of the truth, see `trajectory_statistics.compare`."""
        return trajectory_statistics.compare(self.trajectories, truth.trajectories)

    def compare_molecules(self, truth, simulations):
        """Compare with those of the truth, see `molecule_statistics.compare`."""
        return molecule_statistics.compare(self.molecules, truth.molecules, simulations)
