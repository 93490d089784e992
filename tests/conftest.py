"""Small data sets for every test, and the mark of slow cases."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pipelines.manifest import Manifest
from pipelines.npy_files import save_trajectory

Array = npt.NDArray[np.float32]


def pytest_configure() -> None:
    """Let processes that tests start be stopped by Ctrl-C: those of a shell's background job ignore it otherwise."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark as slow what `slow_cases` names: `slow_cases("*-3d")`, or `slow_cases(all_but=["a-2d", "b-*"])`."""
    if mark := item.get_closest_marker("slow_cases"):
        case = item.callspec.id  # type: ignore[attr-defined]
        named = any(fnmatchcase(case, pattern) for pattern in mark.args or mark.kwargs["all_but"])
        if named == bool(mark.args):
            item.add_marker("slow")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item], config: pytest.Config) -> None:
    """Refuse patterns of `slow_cases` that fit no case, where all cases of a test are collected."""
    if any("[" in argument for argument in config.args):
        return
    cases: dict[str, list[str]] = {}
    patterns: dict[str, Sequence[str]] = {}
    for item in items:
        if mark := item.get_closest_marker("slow_cases"):
            test = item.nodeid.split("[")[0]
            cases.setdefault(test, []).append(item.callspec.id)  # type: ignore[attr-defined]
            patterns[test] = mark.args or mark.kwargs["all_but"]
    for test, given in patterns.items():
        for pattern in given:
            if not any(fnmatchcase(case, pattern) for case in cases[test]):
                raise pytest.UsageError(f"{test}: no case fits {pattern!r} of `slow_cases`")


@pytest.fixture(autouse=True, scope="module")
def no_idle_workers() -> Iterator[None]:
    """End the worker processes of a file's tests, which take time of the others' processors."""
    yield
    if cluster := sys.modules.get("pipelines.cluster"):
        cluster.close_all()


@pytest.fixture
def random_trajectory() -> Callable[..., Array]:
    """A writer of random walks `[num_frames, num_particles, num_dimensions + num_features]`."""

    def make(
        num_frames: int = 40, num_particles: int = 3, num_dimensions: int = 2, num_features: int = 1, seed: int = 0
    ) -> Array:
        generator = np.random.default_rng(seed)
        steps = generator.normal(size=(num_frames, num_particles, num_dimensions))
        features = generator.normal(size=(1, num_particles, num_features)).repeat(num_frames, axis=0)
        return np.concatenate([steps.cumsum(axis=0), features], axis=-1).astype(np.float32)

    return make


@pytest.fixture
def write_dataset(tmp_path: Path) -> Callable[..., Path]:
    """A writer of datasets: `write_dataset({"train": [trajectory, ...]})` gives the directory.

    Further arguments are fields of the manifest.
    """

    def write(
        splits: Mapping[str, Sequence[Array]],
        *,
        num_dimensions: int = 2,
        features: Sequence[str] = ("mass",),
        name: str = "tiny",
        **optional: Any,
    ) -> Path:
        directory = tmp_path / name
        files = {}
        for split, trajectories in splits.items():
            files[split] = tuple(f"{split}/{index:05}.npy" for index in range(len(trajectories)))
            for file, trajectory in zip(files[split], trajectories, strict=True):
                save_trajectory(directory / file, trajectory)
        Manifest(name, num_dimensions, tuple(features), "1", 0.1, files, {"seed": 0}, **optional).save(directory)
        return directory

    return write


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A disk of 300 kB: `small_disk("size=1m")` mounts it anew with these options and gives its directory."""
    directory = tmp_path / "disk"
    directory.mkdir()

    def mount(options: str) -> bool:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(directory)]
        try:
            return subprocess.run(command, capture_output=True, check=False).returncode == 0
        except FileNotFoundError:
            return False

    def remount(options: str) -> Path:
        assert mount(f"remount,{options}")
        return directory

    if not mount("size=300k"):
        pytest.skip("needs the right to mount a disk")
    yield remount
    subprocess.run(["umount", str(directory)], check=True)
