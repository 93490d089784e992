"""`python -m socialmd_tf.rollout`: predict the frames that follow a trajectory file."""

import dataclasses
from pathlib import Path

import numpy as np

from pipelines.errors import UserError
from pipelines.manifest import Manifest
from pipelines.npy_files import open_trajectory
from socialmd_tf import commands

PROG = "python -m socialmd_tf.rollout"


@dataclasses.dataclass(frozen=True)
class RolloutCommand:
    """Predict the frames that follow a trajectory file, with an exported model.

    The file is read at the model's frame interval (every 20th stored frame, say). The first frames warm the model
    up; where the file goes on, the true paths are drawn beside the predicted ones.
    """

    model: Path
    """The SavedModel: saved_models/NAME, whose newest version is taken, or saved_models/NAME/VERSION."""
    input: Path
    """A trajectory file of the data set's format, .npy."""
    data: Path
    """Directory of the data set the file belongs to; its manifest says what the columns are."""
    output: Path
    """File of the prediction, .npz; a picture of the same name, .png, is written beside it."""
    num_steps: int = 30
    """Frames to predict."""
    num_samples: int = 0
    """Trajectories to draw from the predicted density, beside its mean."""
    first_frame: int = 0
    """Stored frame of the file to start from."""
    warm_up_steps: int | None = None
    """Frames to warm up on; by default as many as in training."""
    seed: int = 0
    """Seed of the drawn trajectories."""
    gif: bool = False
    """Write a moving picture, .gif, too."""

    def __post_init__(self) -> None:
        """Check every field."""
        for name, least in (("num_steps", 1), ("num_samples", 0), ("first_frame", 0), ("seed", 0)):
            if getattr(self, name) < least:
                raise UserError(f"`{name}` must be at least {least}. Received: {getattr(self, name)}")
        if self.warm_up_steps is not None and self.warm_up_steps < 1:
            raise UserError(f"`warm_up_steps` must be at least 1. Received: {self.warm_up_steps}")
        if self.seed >= 2**31:
            raise UserError(f"`seed` must be below 2**31. Received: {self.seed}")
        if self.output.suffix != ".npz":
            raise UserError(f"`output` must end in .npz. Received: {self.output}")


def main() -> None:
    """Run the command."""
    command = commands.parse(RolloutCommand, prog=PROG)
    manifest = Manifest.load(command.data)
    open_trajectory(command.input, manifest.num_dimensions + len(manifest.features))  # refused before the slow start
    commands.load_tensorflow()
    from socialmd_tf.evaluation import evaluate
    from socialmd_tf.export.saved_model import ExportedModel

    model = ExportedModel(command.model)
    evaluate.check_data(model, manifest)
    frames, features = read(command, model, manifest)
    warm_up_steps = command.warm_up_steps or evaluate.windows_of(model).warm_up_steps
    if len(frames) < warm_up_steps:
        interval = model.card["windows"]["subsample"]
        raise UserError(
            f"{command.input}: expected at least {warm_up_steps} frames to warm up on, {interval} stored frames apart "
            f"from frame {command.first_frame} on; found {len(frames)}"
        )
    observed = frames[:warm_up_steps]
    mean, covariance = model.moments(observed[None], features[None], command.num_steps)
    copies = [np.repeat(array[None], command.num_samples, axis=0) for array in (observed, features)]
    samples = model.paths(*copies, command.num_steps, (command.seed, 0)) if command.num_samples else ()
    write(command, model, observed, mean[0], covariance[0], samples, frames[warm_up_steps:][: command.num_steps])


def read(command, model, manifest):
    """Frames `[num_frames, N, D]` at the model's interval, and features `[N, F]`.

    Raises:
        UserError: The file is not a trajectory of the data set, or holds NaN or infinity.
    """
    num_dimensions = manifest.num_dimensions
    stored = open_trajectory(command.input, num_dimensions + len(manifest.features))
    trajectory = np.array(stored[command.first_frame :: model.card["windows"]["subsample"]])
    bad = np.argwhere(~np.isfinite(trajectory))
    if len(bad):
        frame, particle, column = bad[0]
        raise UserError(
            f"{command.input}: expected finite numbers, found {trajectory[tuple(bad[0])]} in frame "
            f"{command.first_frame + frame * model.card['windows']['subsample']}, particle {particle}, column {column}"
        )
    if not len(trajectory):
        return trajectory, None
    return trajectory[:, :, :num_dimensions], trajectory[0, :, num_dimensions:]


def write(command, model, observed, mean, covariance, samples, truth):
    """Write the prediction as .npz, and the pictures beside it."""
    from socialmd_tf.report import plots

    command.output.parent.mkdir(parents=True, exist_ok=True)
    arrays = {"observed": observed, "mean": mean, "covariance": covariance, "truth": truth}
    if len(samples):
        arrays["samples"] = samples
    times = (len(observed) + np.arange(len(mean))) * model.card["time_between_frames"]
    np.savez_compressed(command.output, times=times, **arrays)
    options = {
        "truth": truth if len(truth) else None,
        "unit": model.card["length_unit"],
        "title": f"{command.input.name}: {len(mean)} frames predicted from {len(observed)} by {model.name}",
    }
    plots.paths(command.output.with_suffix(".png"), observed, mean, covariance, **options)
    if command.gif:
        plots.animation(command.output.with_suffix(".gif"), observed, mean, covariance, **options)
    print(f"wrote {command.output}: {', '.join(f'{key} {list(value.shape)}' for key, value in arrays.items())}")


if __name__ == "__main__":
    commands.run(main)
