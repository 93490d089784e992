"""Simulations of one known random motion, with re-runs: particles in a trap, AR(1) in every coordinate."""

import dataclasses

import numpy as np
import pytest

from pipelines.config import DataConfig
from pipelines.manifest import Manifest
from pipelines.npy_files import save_trajectory
from socialmd_tf.config import to_dict

KEEP = 0.9
"""x_k = KEEP x_(k-1) + xi."""
WINDOWS = DataConfig(subsample=1, subsample_phases=1, warm_up_steps=5, rollout_steps=5, window_shift=5, rotations=0)


def continue_from(start, num_frames, generator):
    """Frames after `start` `[..., D]`: `[num_frames, ..., D]`."""
    frames = [start]
    for _ in range(num_frames):
        frames.append(KEEP * frames[-1] + generator.normal(size=start.shape))
    return np.stack(frames)[1:]


class Redrawn:
    """A model that draws from the true law, or from a wrong one with other noise."""

    path, layout, name = None, None, "redrawn"

    def __init__(self, noise=1.0, windows=WINDOWS):
        self.noise = noise
        self.card = {"windows": to_dict(windows), "max_horizon": 100}

    def draw(self, inputs, seed):
        """As `paths`, over the horizon of the training."""

    def paths(self, positions, features, horizon, seed, mask=None, known=None):
        generator = np.random.default_rng(seed)
        frames = [positions[:, -1]]
        for _ in range(horizon):
            frames.append(KEEP * frames[-1] + self.noise * generator.normal(size=frames[0].shape))
        return np.stack(frames[1:], axis=1)


@pytest.fixture
def write_reruns(tmp_path):
    """Write a dataset: `write_reruns(num_files=4, num_reruns=3)` -> its directory."""

    def write(num_files=4, num_reruns=3, num_frames=20, frame=6, num_particles=(4, 3), same=False, **fields):
        generator = np.random.default_rng(0)
        directory, splits, reruns = tmp_path / "trap", {"train": [], "test": []}, {}
        for number in range(2 * num_files):
            split, particles = ("train", "test")[number % 2], num_particles[number // 2 % len(num_particles)]
            file = f"{split}/{number}.npy"
            splits[split].append(file)
            columns = (np.arange(particles) % 2)[None, :, None] == np.arange(2)
            path = continue_from(3 * generator.normal(size=(particles, 2)), num_frames, generator)
            save(directory / file, path, columns)
            for again in range(num_reruns if split == "test" else 0):
                name, start = f"reruns/{number}-{again}.npy", path[frame].astype(np.float32)
                rest = path[frame + 1 :] if same else continue_from(start, num_frames - 1 - frame, generator)
                save(directory / name, np.concatenate([start[None], rest]), columns)
                reruns[name] = {"of": file, "frame": frame}
        splits = {split: tuple(files) for split, files in splits.items()}
        manifest = Manifest("trap", 2, ("A", "B"), "1", 0.5, splits, {}, time_unit="ps", reruns=reruns or None)
        dataclasses.replace(manifest, **fields).save(directory)
        return directory

    def save(path, positions, columns):
        features = np.broadcast_to(columns, (*positions.shape[:2], 2))
        save_trajectory(path, np.concatenate([positions, features], axis=-1).astype(np.float32))

    return write
