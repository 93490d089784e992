"""Simulations of a mixture whose motion depends on the share of the drug: particles in a trap, AR(1)."""

import numpy as np
import pytest

from pipelines.config import DataConfig
from pipelines.manifest import Manifest
from pipelines.npy_files import save_trajectory
from socialmd_tf.config import to_dict

NAMES = ("D", "W", "B")
KEEP = 0.8
WINDOWS = DataConfig(subsample=1, subsample_phases=1, warm_up_steps=3, rollout_steps=5, window_shift=5, rotations=0)


def noise_of(share):
    """Standard deviation of the noise: the more drug, the wilder the motion."""
    return 0.3 + 2 * share**2


def continue_from(start, share, num_frames, generator):
    """Frames after `start` `[..., n, D]`: `[num_frames, ..., n, D]`; `share` is `[...]`."""
    frames = [start]
    for _ in range(num_frames):
        noise = np.asarray(noise_of(share))[..., None, None] * generator.normal(size=start.shape)
        frames.append(KEEP * frames[-1] + noise)
    return np.stack(frames)[1:]


class TrueLaw:
    """A model that draws from the true law, which it reads from the types of the particles."""

    path, layout, name = None, None, "true"

    def __init__(self, windows=WINDOWS, **card):
        self.card = {
            "windows": to_dict(windows),
            "max_horizon": 100,
            "num_dimensions": 2,
            "features": list(NAMES),
            "length_unit": "1",
            "time_between_frames": 0.5 * windows.subsample,
        } | card

    def draw(self, inputs, seed):
        """As `paths`, over the horizon of the training."""

    def paths(self, positions, features, horizon, seed, mask=None, known=None):
        shares = features[..., 0].sum(axis=1) / features.sum(axis=(1, 2))
        paths = continue_from(positions[:, -1], shares, horizon, np.random.default_rng(seed))
        return np.moveaxis(paths, 0, 1)


@pytest.fixture
def write_mixtures(tmp_path):
    """Write a dataset: `write_mixtures(train=[0.2, 0.5], test=[0.8])` -> its directory."""

    def write(train=(0.25, 0.5, 0.75, 0.25), test=(), num_particles=(8,), num_frames=20, num_reruns=0, frame=6, drug=0):
        generator = np.random.default_rng(0)
        directory, splits, reruns = tmp_path / "mixtures", {}, {}
        for split, shares in (("train", train), ("test", test)):
            splits[split] = tuple(f"{split}/{number}.npy" for number in range(len(shares)))
            for number, (file, share) in enumerate(zip(splits[split], shares, strict=True)):
                size = num_particles[number % len(num_particles)]
                kinds = np.where(np.arange(size) < round(share * size), drug, 2)
                columns = np.eye(3)[generator.permutation(kinds)]
                path = continue_from(generator.normal(size=(size, 2)), share, num_frames, generator)
                save(directory / file, path, columns)
                for again in range(num_reruns if split == "test" else 0):
                    rest = continue_from(path[frame], share, num_frames - 1 - frame, generator)
                    save(
                        directory / f"reruns/{number}-{again}.npy",
                        np.concatenate([path[frame : frame + 1], rest]),
                        columns,
                    )
                    reruns[f"reruns/{number}-{again}.npy"] = {"of": file, "frame": frame}
        Manifest("mixtures", 2, NAMES, "1", 0.5, splits, {}, time_unit="ps", reruns=reruns or None).save(directory)
        return directory

    def save(path, positions, columns):
        features = np.broadcast_to(columns, (*positions.shape[:2], columns.shape[1]))
        save_trajectory(path, np.concatenate([positions, features], axis=-1).astype(np.float32))

    return write
