"""A dataset from molecular trajectories (thesis section 3.2), made one simulation at a time; a killed run resumes.

A directory holds `prepare.json` (the configuration, written first), for each simulation its `.npy` files (beside them
`.box.npy` files, if the dataset has a periodic box that changes) and then
`simulations/00000.json` (its `Record`; only then do the files count), likewise `reruns/00000.npy` and
`reruns/00000.json` for each re-run, and `dataset.json` (written last). All are written under a temporary name and
renamed.
"""

import dataclasses
import itertools
import json
from collections.abc import Generator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.atomic_files import write_json
from pipelines.counts import counted
from pipelines.errors import UserError
from pipelines.manifest import MANIFEST_FILE, Manifest
from pipelines.molecules.config import SPLITS, MoleculesConfig
from pipelines.molecules.expected_frames import expected_frames
from pipelines.molecules.inputs import check_inputs
from pipelines.molecules.plan import Plan, make_plans
from pipelines.molecules.records import Record
from pipelines.molecules.rerun_list import Rerun, find_reruns, restarted
from pipelines.molecules.series import Simulation, find_simulations
from pipelines.molecules.summary import Summary
from pipelines.molecules.topology_attributes import with_selected_names
from pipelines.molecules.write_simulation import box_file, edge_file, save_boxes, write_simulation
from pipelines.output_directory import LOCK_FILE, check_claim, claim, defaults_of, remove_temporary
from pipelines.progress import Progress
from pipelines.reruns import rerun_fault
from pipelines.stored_trajectory import StoredTrajectory
from pipelines.validation import check
from pipelines.workers import HERE, Work, Workers, run_all

CONFIG_FILE = "prepare.json"
RECORDS, RERUNS = "simulations", "reruns"
_INPUTS = ("trajectory", "topology")
_NAMED = ("validation", "test")


def prepare(config: MoleculesConfig, directory: Path, *, command: str, workers: Workers = HERE) -> Summary:
    """Make a dataset; the same call completes a run that was stopped.

    A file is `[num_frames, N, D + F]`, float32 in a .npy file by default: positions relative to the centre, in the
    length unit, then 1 in the column of the name of the molecule, then the position of its anchor in the first frame of
    the simulation, if anchors are asked for. N differs between slices and between simulations.

    Args:
        config: The trajectories and what to make of them.
        directory: Directory of the dataset: new, empty, or begun with the same `config` and inputs.
        command: The command of the user, for `dataset.json`.
        workers: Where the simulations are read, by default here. The files do not depend on it.

    Returns:
        The summary.

    Raises:
        UserError: The input is at fault or has changed, or the directory holds something else or is in use. Then
            `directory` stays as it was, except for simulations that are complete.
    """
    directory = Path(directory)
    settings = {name: value for name, value in _as_json(config).items() if name not in (*_INPUTS, *_NAMED)}
    settings |= {name: numbers for name in _NAMED if (numbers := _numbers(config, getattr(config, name)))}
    ours = (directory, CONFIG_FILE, settings, "a dataset of molecules", defaults_of(MoleculesConfig))
    was_there, was_claimed = directory.exists(), check_claim(*ours)
    simulations = find_simulations(config)
    config = with_selected_names(config, simulations)
    reruns = find_reruns(config, simulations)
    was_complete = was_claimed and (directory / MANIFEST_FILE).exists()
    if was_claimed:
        _check_unchanged(directory, simulations, was_complete)
        _check_unchanged(directory, [rerun.simulation for rerun in reruns], was_complete, RERUNS)
    parts = ((RECORDS, len(simulations)), (RERUNS, len(reruns)))
    if was_complete and all(_is_written(config, directory, k, kind) for kind, count in parts for k in range(count)):
        return Summary(directory, config, _records(directory), True, _records(directory, RERUNS))
    plans = make_plans(config, simulations)
    claimed = claim(*ours)  # its refusal changes nothing
    try:
        with claimed:
            missing = [index for index in range(len(plans)) if not _is_written(config, directory, index)]
            tasks = [(config, plans[index], index, directory) for index in missing]
            _do_all(_write_one, tasks, directory, workers, [plans[index] for index in missing], "simulation")
            records = _records(directory)
            originals = [(plans[rerun.original], records[rerun.original]) for rerun in reruns]
            again = [_as_plan(plan, rerun) for (plan, _), rerun in zip(originals, reruns, strict=True)]
            reruns_left = [
                (config, plan, record, rerun, index, directory)
                for index, (plan, (_, record), rerun) in enumerate(zip(again, originals, reruns, strict=True))
                if not _is_rerun_written(config, record, rerun, index, directory)
            ]
            _do_all(_write_rerun, reruns_left, directory, workers, [each[1] for each in reruns_left], "re-run")
            summary = Summary(directory, config, records, False, _records(directory, RERUNS))
            boxes = _boxes(directory, config.layout(), [*records, *summary.reruns])
            manifest = dataclasses.replace(_manifest(config, command, summary), **boxes)
            _finish(directory, manifest, config.min_frames)
    except UserError:
        _leave_as_it_was(directory, was_there)
        raise
    return summary


def _as_json(config: MoleculesConfig) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config), default=str))
    return values


def _numbers(config: MoleculesConfig, named: tuple[Path, ...]) -> list[int]:
    """The places of some of the trajectories, which stay the same when the files are moved."""
    return sorted(config.trajectory.index(path) for path in named)


def _do_all(
    work: Work, tasks: Sequence[tuple[Any, ...]], directory: Path, workers: Workers, plans: Sequence[Plan], kind: str
) -> None:
    """Write simulations or re-runs, and show the progress."""
    sizes = [expected_frames(plan.simulation.parts, plan.topology.num_atoms) for plan in plans]
    done = dict.fromkeys(range(len(tasks)), 0)
    with Progress("prepare", None if None in sizes else sum(size or 0 for size in sizes)) as progress:

        def report(place: int, num_frames: int) -> None:
            done[place] = num_frames
            progress.show(sum(done.values()), f"{kind} {place + 1} of {len(tasks)}, {counted(num_frames, 'frame')}")

        try:
            for _ in run_all(work, tasks, workers, report):
                pass
        finally:
            remove_temporary(directory)  # of workers that were stopped


def _write_one(config: MoleculesConfig, plan: Plan, index: int, directory: Path) -> Generator[int]:
    """Write a simulation, and then its record; yields the number of frames."""
    record = yield from write_simulation(config, plan, index, directory)
    write_json(_record_path(directory, index), dataclasses.asdict(record))


def _as_plan(plan: Plan, rerun: Rerun) -> Plan:
    """The plan of a re-run: it has the centre atoms and anchors of its simulation."""
    return dataclasses.replace(plan, simulation=rerun.simulation, split=RERUNS, notes=())


def _is_rerun_written(config: MoleculesConfig, original: Record, rerun: Rerun, index: int, directory: Path) -> bool:
    """Whether a re-run is complete; refuses another one in its place."""
    file, frame = restarted(config, rerun, original)
    if not _is_written(config, directory, index, RERUNS):
        return False
    if Record.load(_record_path(directory, index, RERUNS)).restarts != {"of": file, "frame": frame}:
        raise UserError(f"{directory}: holds other re-runs; expected the same `--reruns`, or a new directory")
    return True


def _write_rerun(
    config: MoleculesConfig, plan: Plan, original: Record, rerun: Rerun, index: int, directory: Path
) -> Generator[int]:
    """Write a re-run of a simulation that is complete; yields the number of frames.

    Args:
        config: The configuration of the dataset.
        plan: The plan of the re-run.
        original: The record of the simulation.
        rerun: The re-run.
        index: Number of the re-run, from 0.
        directory: The directory of the dataset.

    Raises:
        UserError: As `write_simulation`, or the re-run does not begin at the frame.
    """
    file, frame = restarted(config, rerun, original)
    trajectory = StoredTrajectory.check(directory / file, config.layout())
    start = np.array(trajectory[frame][:, :3], np.float64)
    record = yield from write_simulation(config, dataclasses.replace(plan, start=start), index, directory)
    written = directory / record.files[RERUNS][0]
    fault = rerun_fault(StoredTrajectory.check(written, config.layout()), trajectory, frame, 3, None)
    if fault:
        written.unlink()
        label = Simulation(Path(original.topology), tuple(map(Path, original.parts))).label
        raise UserError(f"{rerun.simulation.label}: not a re-run of {label}: {fault} ({file})")
    restarts = {"of": file, "frame": frame}
    write_json(_record_path(directory, index, RERUNS), dataclasses.asdict(record) | {"restarts": restarts})


def _record_path(directory: Path, index: int, kind: str = RECORDS) -> Path:
    return directory / kind / f"{index:05d}.json"


def _is_written(config: MoleculesConfig, directory: Path, index: int, kind: str = RECORDS) -> bool:
    """Whether a simulation is complete and its files are still there and whole."""
    path = _record_path(directory, index, kind)
    if not path.exists():
        return False
    try:
        for name in itertools.chain(*Record.load(path).files.values()):
            StoredTrajectory.check(directory / name, config.layout())
    except UserError:
        return False
    return True


def _records(directory: Path, kind: str = RECORDS) -> tuple[Record, ...]:
    return tuple(Record.load(path) for path in sorted((directory / kind).glob("*.json")))


def _check_unchanged(
    directory: Path, simulations: Sequence[Simulation], is_complete: bool, kind: str = RECORDS
) -> None:
    """Refuse inputs other than those of the simulations, or re-runs, that are complete."""
    records = sorted((directory / kind).glob("*.json"))
    if len(records) > len(simulations) or (is_complete and len(records) < len(simulations)):
        things, flag = ("simulations", "--trajectory") if kind == RECORDS else ("re-runs", "--reruns")
        raise UserError(
            f"{directory}: holds a dataset of {len(records)} {things}, `{flag}` has {len(simulations)}; "
            f"expected the same {things}, or a new directory as `--output`"
        )
    for path in records:
        check_inputs(simulations[int(path.stem)], Record.load(path).inputs, f"{directory} was prepared")


def _finish(directory: Path, manifest: Manifest, min_frames: int) -> None:
    """Write the manifest, unless the dataset has faults."""
    manifest.save(directory)
    try:
        check(directory, min_frames=min_frames)
    except BaseException:
        (directory / MANIFEST_FILE).unlink(missing_ok=True)
        raise


def _leave_as_it_was(directory: Path, was_there: bool) -> None:
    """Remove the traces of a run that completed nothing, so that a corrected command can use the directory."""
    if not directory.is_dir() or any(entry.name not in (CONFIG_FILE, LOCK_FILE) for entry in directory.iterdir()):
        return
    (directory / CONFIG_FILE).unlink(missing_ok=True)
    if not was_there:
        (directory / LOCK_FILE).unlink(missing_ok=True)
        directory.rmdir()


def _boxes(directory: Path, layout: Manifest, records: Sequence[Record]) -> dict[str, Any]:
    """The box, as fields of the manifest: `box` if it is constant, otherwise `box_files`, which are completed."""
    if not records[0].keeps_box:
        return {}
    first = records[0].box
    if first is not None and all(record.box == first for record in records):
        edges = np.diag(np.array(first))
        is_rectangular = np.array_equal(np.diag(edges), first)
        return {"box": tuple(edges.tolist()) if is_rectangular else tuple(map(tuple, first))}
    box_of = {name: record.box for record in records for names in record.files.values() for name in names}
    for name, constant in box_of.items():
        if constant is not None:
            num_frames = len(StoredTrajectory.check(directory / name, layout))
            save_boxes(directory / name, np.repeat(np.array(constant)[None], num_frames, axis=0))
    return {"box_files": {name: box_file(name) for name in box_of}}


def _manifest(config: MoleculesConfig, command: str, summary: Summary) -> Manifest:
    times = [record.time_between_frames for record in (*summary.records, *summary.reruns)]
    if max(times) > 1.01 * min(times):
        raise UserError(f"`trajectory` must have one time between frames. Received: {sorted(set(times))} ps")
    return Manifest(
        name="molecules",
        num_dimensions=config.num_dimensions,
        features=config.features,
        length_unit=config.length_unit,
        time_between_frames=times[0],
        time_unit="ps",
        splits={
            split: tuple(name for record in summary.records for name in record.files.get(split, ())) for split in SPLITS
        },
        # Slices and splits in time of one simulation are not independent.
        group={
            name: f"{index:05d}"
            for index, record in enumerate(summary.records)
            for names in record.files.values()
            for name in names
        },
        edges={name: edge_file(name) for record in summary.records for names in record.files.values() for name in names}
        if config.bonds
        else None,
        reruns={record.files[RERUNS][0]: record.restarts or {} for record in summary.reruns} or None,
        provenance={
            "command": command,
            "version": version("socialmd_tf"),
            "config": _as_json(config),
            **summary.statistics(),
        },
    )
