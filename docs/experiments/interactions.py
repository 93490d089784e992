"""The ablations of interactions.md: how particles should see each other.

    python -m socialmd_tf.simulate --output data/nbody      # once, minutes
    python docs/experiments/interactions.py train           # all variants, or only those named after `train`
    python docs/experiments/interactions.py table           # of those that are trained, in Markdown

Every variant has a kinematic head, a mixture of three Gaussians and seed 0. It is trained for one epoch of the same
5 000 windows to predict one frame from two, and evaluated on the validation split, one frame ahead and in free
rollouts of 30 frames after 5, for which it was not trained. Variants that are already trained are skipped.

The last three are `multiscale` with changed training batches: half of the windows mirrored, half of them reversed in
time, or noise of a tenth of a mean second difference on observed positions.
"""

import dataclasses
import json
import sys
import time
from pathlib import Path
from unittest import mock

import tensorflow as tf

from pipelines.common_windows import CommonWindows
from pipelines.config import DataConfig
from pipelines.manifest import Manifest
from socialmd_tf.config import PRESETS, TrainConfig
from socialmd_tf.evaluation import metrics
from socialmd_tf.model import rollout_layer
from socialmd_tf.training import loop

RUNS, DATA = Path("runs/interactions"), Path("data/nbody")
FRAME = DataConfig(warm_up_steps=2, rollout_steps=1, rotations=1)
ROLLOUT = DataConfig(subsample_phases=1, rotations=0)
KINEMATIC = PRESETS["kinematic"]
PAIRWISE = dataclasses.replace(PRESETS["pairwise"], num_components=3)
STACKED = dataclasses.replace(PRESETS["thesis"], head="kinematic", units=64, num_components=3, scale_floor=1e-5)
VARIANTS = {
    "none": dataclasses.replace(PAIRWISE, interaction="none"),
    "stacked": STACKED,
    "multiscale": KINEMATIC,
    "pairwise": PAIRWISE,
    "both": dataclasses.replace(KINEMATIC, interaction="both"),
    "mirrored": KINEMATIC,
    "backwards": KINEMATIC,
    "noise": KINEMATIC,
}
NOISE = 0.1
"""Standard deviation of the noise, as a fraction of the mean second difference."""


def main():
    command, *names = sys.argv[1:] or ["help"]
    if command == "train":
        for name in names or VARIANTS:
            train(name)
    elif command == "table":
        print_table()
    else:
        sys.exit(__doc__)


def train(name):
    """Train and evaluate a variant, unless it is already done."""
    done = RUNS / f"{name}.json"
    if done.exists():
        return
    config = TrainConfig(
        run_directory=str(RUNS / name),
        epochs=1,
        batch_size=16,
        learning_rate=3e-3,
        clip_norm=1.0,
        windows=FRAME,
        model=VARIANTS[name],
    )
    scales = loop.motion_scales(DATA, config)
    changes = {"mirrored": mirror, "backwards": turn_back, "noise": lambda *batch: add_noise(NOISE * scales[1], *batch)}
    begin = time.process_time()
    with mock.patch.object(loop.dataset, "batches", changed(changes.get(name))):
        model, _ = loop.fit(config, DATA)
    seconds = time.process_time() - begin
    longer = dataclasses.replace(config, windows=ROLLOUT)
    rollout = loop.new_model(longer, Manifest.load(DATA), scales, tf.distribute.get_strategy())
    rollout.set_weights(model.get_weights())
    results = {"seconds": seconds, "parameters": model.count_params()}
    results |= {
        "frame": evaluate(model, dataclasses.replace(FRAME, rotations=0)),
        "rollout": evaluate(rollout, ROLLOUT),
    }
    done.write_text(json.dumps(results, indent=1))
    print(row(name), flush=True)


def changed(change):
    """`pipelines.dataset.batches` with `change` applied to the batches of the training split."""
    batches = loop.dataset.batches

    def changed_batches(directory, split, *args, **options):
        found = batches(directory, split, *args, **options)
        return found.map(change) if change and split == "train" else found

    return changed_batches


def mirror(inputs, targets):
    """Mirror half of the windows: x -> -x."""
    signs = tf.where(chosen(targets), [-1.0, 1.0], [1.0, 1.0])
    return {**inputs, "positions": inputs["positions"] * signs}, targets * signs


def turn_back(inputs, targets):
    """Reverse half of the windows in time."""
    frames = tf.concat([inputs["positions"], targets], axis=1)
    frames = tf.where(chosen(targets), tf.reverse(frames, [1]), frames)
    return {**inputs, "positions": frames[:, : FRAME.warm_up_steps]}, frames[:, FRAME.warm_up_steps :]


def add_noise(deviation, inputs, targets):
    """Add normal noise to the observed positions of real particles."""
    noise = tf.random.normal(tf.shape(inputs["positions"]), stddev=deviation, seed=0) * inputs["mask"][:, None, :, None]
    return {**inputs, "positions": inputs["positions"] + noise}, targets


def chosen(targets):
    """A random half of the windows, boolean `[B, 1, 1, 1]`."""
    return tf.random.uniform((tf.shape(targets)[0], 1, 1, 1), seed=0) < 0.5


def evaluate(model, windows):
    """`metrics.Tally.summary` of all windows of the validation split."""
    common = CommonWindows([windows])
    index, layout = common.index(DATA, "validation"), rollout_layer(model).head.layout
    tally = metrics.Tally()
    for batch in common.batches(DATA, "validation", index):
        parameters = model.predict_on_batch(batch.inputs(windows))
        tally.add(metrics.score(parameters, layout, batch.targets, batch.mask))
    return tally.summary(index[:, 0], mean_move=0.0)


def print_table():
    print("| variant | parameters | CPU time | NLL | MAE x 1000 | median AE x 1000 | rollout's MAE | median AE |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for name in VARIANTS:
        if (RUNS / f"{name}.json").exists():
            print(row(name))


def row(name):
    found = json.loads((RUNS / f"{name}.json").read_text())
    frame, rollout = found["frame"], found["rollout"]
    cells = [
        f"`{name}`",
        f"{found['parameters']:,}".replace(",", " "),
        f"{found['seconds']:.0f} s",
        f"{frame['nll']:.2f} ± {frame['nll_standard_error']:.2f}",
        f"{1000 * frame['mae']:.2f} ± {1000 * frame['mae_standard_error']:.2f}",
        f"{1000 * frame['median_ae']:.3f}",
        f"{rollout['mae']:.4f} ± {rollout['mae_standard_error']:.4f}",
        f"{rollout['median_ae']:.4f}",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
