"""`python -m socialmd_tf.rollout`: predict the frames that follow a trajectory file."""

import dataclasses
import functools
import tempfile
from pathlib import Path
from typing import Literal

import numpy as np

from pipelines.atomic_files import write_atomically
from pipelines.boxes import unwrap, wrap
from pipelines.conversions import conversion_line
from pipelines.counts import counted
from pipelines.errors import UserError, require
from pipelines.manifest import Manifest
from pipelines.molecules.known_molecules import particle_names
from pipelines.side_files import load_boxes, name_in
from pipelines.stored_trajectory import SUFFIXES, StoredTrajectory
from socialmd_tf import commands
from socialmd_tf.export.formats.files import check_format, check_suffix, write_paths
from socialmd_tf.export.versions import find_version
from socialmd_tf.report.write import check_directory

PROG = "python -m socialmd_tf.rollout"


@dataclasses.dataclass(frozen=True)
class RolloutCommand:
    """Predict the frames that follow a trajectory file, with an exported model.

    The file is read at the frame interval of the model, for example every 20th stored frame. The model warms up on
    the first frames. Frames of the file after these are drawn as the true paths beside the predicted ones.

    Of random motion (preset langevin), mean and covariance are those of the drawn trajectories, of at least 16.
    """

    model: Path
    """SavedModel: saved_models/NAME for its newest version, or saved_models/NAME/VERSION."""
    input: Path
    """Trajectory file of the dataset, .npy, .h5, .h5md or .zarr. For datasets made by `prepare` also a trajectory of
    molecules in any format that `prepare` reads, such as .xtc: it is prepared with the settings of the dataset, and all
    its frames are used."""
    data: Path
    """Directory of the dataset that the file belongs to; its manifest describes the columns."""
    output: Path
    """File for the prediction; its suffix is the format. A picture is written beside it, .png.
    .npz: all arrays, with the covariance. .csv: all paths, one row per frame and particle. Both have the data's units.
    .xtc, .dcd, .h5md, .pdb, .extxyz: the observed frames and then the predicted mean, in the units of the format; each
    drawn trajectory is a file of its own, NAME.sample-00.xtc. .xtc, .dcd and .h5md get a NAME.topology.pdb.
    All but .npz, .csv and .extxyz need MDAnalysis."""
    topology: Path | None = None
    """File that names the molecules of an `--input` in a format that does not, such as .gro beside .xtc."""
    num_steps: int = 30
    """Number of frames to predict."""
    num_samples: int = 0
    """Number of trajectories to draw from the predicted density, in addition to its mean."""
    first_frame: int = 0
    """Stored frame of the file to start from."""
    warm_up_steps: int | None = None
    """Number of frames to warm up on; by default as many as in training."""
    seed: int = 0
    """Seed of the drawn trajectories."""
    gif: bool = False
    """Also write an animation, .gif, with time, trails and 90 % predictive regions."""
    wrap: bool = False
    """Write positions wrapped into the periodic box of the dataset, with a corner at the origin. By default they are
    unwrapped: particles continue across the faces of the box."""
    compile: Literal["auto", "on", "off"] = "auto"
    """Whether XLA compiles the model; auto: where there is a GPU. It takes some seconds, and makes long rollouts many
    times faster there."""

    def __post_init__(self) -> None:
        """Check every field."""
        for name, least in (("num_steps", 1), ("num_samples", 0), ("first_frame", 0), ("seed", 0)):
            require(getattr(self, name) >= least, name, f"at least {least}", getattr(self, name))
        require(
            self.warm_up_steps is None or self.warm_up_steps >= 1, "warm_up_steps", "at least 1", self.warm_up_steps
        )
        require(self.seed < 2**31, "seed", "below 2**31", self.seed)
        given = self.topology is None or self.input.suffix not in SUFFIXES
        require(given, "topology", "left out beside a file of a dataset, which needs none", str(self.topology))
        check_suffix(self.output)


def main() -> None:
    """Run the command."""
    command = commands.parse(RolloutCommand, prog=PROG)
    check_directory(command.output.parent)
    check_format(command.output)
    find_version(command.model)
    if command.input.suffix in SUFFIXES:
        predict(command, command.input.name)
    else:
        predict_molecules(command)


def predict_molecules(command):
    """Predict what follows a trajectory of molecules, from a temporary dataset with the settings of `--data`.

    Raises:
        UserError: It cannot be prepared as that dataset was, or as for `predict`.
    """
    from pipelines.molecules.like_dataset import prepare_like

    manifest = Manifest.load(command.data)
    with tempfile.TemporaryDirectory() as directory:
        file = prepare_like(manifest, command.input, command.topology, Path(directory))
        try:
            predict(dataclasses.replace(command, input=file, data=Path(directory), topology=None), command.input.name)
        except UserError as error:
            message = str(error).replace(str(file), str(command.input)).replace(directory, str(command.data))
            raise UserError(message) from None


def predict(command, name):
    """Predict, and write the files.

    Args:
        command: The command, for a file of a dataset.
        name: What the user calls the file.

    Raises:
        UserError: The file and the model do not fit.
    """
    manifest = Manifest.load(command.data)
    conversion = StoredTrajectory.check(command.input, manifest).conversion  # refused before the slow start
    if conversion:
        print(conversion_line(conversion, [name]), flush=True)
    require(manifest.is_periodic or not command.wrap, "wrap", f"left out for {command.data}, which has no box", True)
    commands.load_tensorflow()
    from socialmd_tf.evaluation.compatibility import check_data
    from socialmd_tf.export.drawn_paths import NUM_PATHS, draw_paths, moments
    from socialmd_tf.export.model_inputs import check_num_observed
    from socialmd_tf.export.saved_model import load

    model = load(command.model, command.compile)
    check_data(model.card, manifest)
    limit = model.card["max_horizon"]
    require(command.num_steps <= limit, "num_steps", f"at most {limit}, the limit of {model.path}", command.num_steps)
    warm_up_steps = command.warm_up_steps or model.card["warm_up_steps"]
    check_num_observed(warm_up_steps, model.card, "`warm_up_steps`")
    frames, features, boxes = read(command, model, manifest, warm_up_steps + command.num_steps)
    if len(frames) < warm_up_steps:
        raise UserError(
            f"{command.input}: expected at least {warm_up_steps} frames to warm up on, "
            f"{counted(model.card['windows']['subsample'], 'stored frame')} apart from frame {command.first_frame} on; "
            f"found {len(frames)}. Change --first-frame or --warm-up-steps"
        )
    observed = frames[:warm_up_steps]
    known = known_inputs(command, model, warm_up_steps)
    inputs = observed[None], features[None], command.num_steps
    count = max(command.num_samples, NUM_PATHS) if model.is_random else command.num_samples
    samples = draw_paths(model, *inputs, count, command.seed, known=known) if count else ()
    mean, covariance = moments(samples) if model.is_random else model.moments(*inputs, known=known)
    samples = samples[0][: command.num_samples] if count else ()
    truth = frames[warm_up_steps:][: command.num_steps]
    box = None if boxes is None else boxes[warm_up_steps - 1]
    title = f"{name}: {counted(command.num_steps, 'frame')} predicted from {warm_up_steps} by {model.name}"
    facts = {
        "length_unit": manifest.length_unit,
        "time_unit": manifest.time_unit,
        "types": particle_names(manifest, features),
        "box": box,
    }
    write(command, model, observed, mean[0], covariance[0], samples, truth, facts, title)


def known_inputs(command, model, warm_up_steps):
    """Box, bonds and velocities of the observed frames, as far as the model takes them.

    Raises:
        UserError: The model takes what the file does not have, or the file has a box or bonds that it does not take.
    """
    from socialmd_tf.export.frames import read
    from socialmd_tf.export.optional_inputs import check_optional_inputs, optional_inputs

    frames = read(command.input, data=command.data)[command.first_frame :]
    check_optional_inputs(frames, model.card)
    observed = np.arange(warm_up_steps) * model.card["windows"]["subsample"]
    return optional_inputs(frames, model.card, observed)


def read(command, model, manifest, num_frames):
    """Frames `[<= num_frames, N, D]` at the interval of the model, features `[N, F]`, and lattice vectors or None.

    Later frames of the file are not read. In a periodic box the frames are unwrapped, and there are lattice vectors
    `[<= num_frames, D, D]`.

    Raises:
        UserError: The file is not a trajectory of the dataset, or contains NaN or infinity.
    """
    size, step, first = manifest.num_dimensions, model.card["windows"]["subsample"], command.first_frame
    stored = StoredTrajectory.check(command.input, manifest)
    last = first + (num_frames - 1) * step
    trajectory = stored[first : last + 1 : step].astype(np.float32)
    bad = np.argwhere(~np.isfinite(trajectory))
    if len(bad):
        frame, particle, column = bad[0]
        raise UserError(
            f"{command.input}: expected finite numbers, found {trajectory[tuple(bad[0])]} in frame "
            f"{first + frame * step}, particle {particle}, column {column}"
        )
    if not len(trajectory):
        return trajectory, None, None
    columns = [size + manifest.features.index(name) for name in manifest.particle_features]
    positions, features = trajectory[:, :, :size], trajectory[0][:, columns]
    if not manifest.is_periodic:
        return positions, features, None
    # Particles are followed from stored frame to stored frame.
    followed = stored[first : last + 1][..., :size]
    boxes = np.broadcast_to(_boxes(command, manifest, len(stored)), (len(stored), size, size))[first : last + 1]
    return unwrap(followed, boxes)[::step].astype(np.float32), features, boxes[::step]


def _boxes(command, manifest, num_frames):
    """Lattice vectors of the input file: `[num_frames, D, D]`, or `[1, D, D]` for all frames."""
    return load_boxes(manifest, command.data, name_in(command.data, command.input), num_frames)


def write(command, model, observed, mean, covariance, samples, truth, facts, title):
    """Write the prediction and its pictures; each file is written whole or not at all.

    Args:
        command: The command.
        model: The model.
        observed: Unwrapped frames `[T, N, D]`.
        mean: `[T', N, D]`.
        covariance: `[T', N, D, D]`.
        samples: `[S, T', N, D]`, or empty.
        truth: `[<= T', N, D]`.
        facts: `length_unit`, `time_unit`, `types`, and `box`: lattice vectors in rows `[D, D]` at the last observed
            frame, or None.
        title: Of the pictures.
    """
    from socialmd_tf.report import plots
    from socialmd_tf.report.animation import animation

    box = facts["box"]
    arrays = {"observed": observed, "mean": mean, "truth": truth}
    if len(samples):
        arrays["samples"] = samples
    if command.wrap:
        arrays = {name: wrap(frames, box).astype(np.float32) for name, frames in arrays.items()}
    times = np.arange(len(observed) + len(mean)) * model.card["time_between_frames"]
    ends_early = 0 < len(truth) < len(mean)
    options = {
        "truth": truth if len(truth) else None,
        "unit": facts["length_unit"],
        "box": box,
        "title": f"{title}, true paths for {len(truth)}" if ends_early else title,
    }
    output = command.output
    if output.suffix == ".npz":
        arrays |= {"covariance": covariance, **({} if box is None else {"box": box})}
        write_atomically(output, lambda file: np.savez_compressed(file, times=times[len(observed) :], **arrays))
        written, note = [output], ""
    else:
        paths = [arrays.get(name, ()) for name in ("observed", "mean", "samples", "truth")]
        written, note = write_paths(output, *paths, times=times, **facts)
        if output.suffix != ".csv":
            del arrays["truth"]  # it is in pictures only
    pictures = {".png": functools.partial(plots.paths, samples=samples)}
    if command.gif:
        pictures[".gif"] = functools.partial(animation, times=times, time_unit=facts["time_unit"])
    drawn = [output.with_suffix(suffix) for suffix in pictures]
    for file, draw in zip(drawn, pictures.values(), strict=True):
        picture = functools.partial(draw, warm_up=observed, mean=mean, covariance=covariance, **options)
        write_atomically(file, picture)
    shapes = ", ".join(f"{key} {list(value.shape)}" for key, value in arrays.items())
    print(f"wrote {', '.join(map(str, written))}: {shapes}")
    print(f"{'picture' if len(drawn) == 1 else 'pictures'}: {', '.join(map(str, drawn))}")
    if ends_early:
        print(f"the file has true positions for {len(truth)} of {counted(len(mean), 'predicted frame')}")
    if note:
        print(note)


if __name__ == "__main__":
    commands.run(main)
