"""What the way particles see each other is worth: the ablations of interactions.md.

    python -m socialmd_tf.simulate --output data/nbody      # once, minutes
    python docs/experiments/interactions.py train           # all variants, or only those named after `train`
    python docs/experiments/interactions.py table           # of those that are trained, in Markdown

Every variant has a kinematic head with a mixture of three Gaussians, seed 0, and is trained on the same windows in the
same order and judged on the validation split with the weights of its last epoch. A variant that is trained already is
not trained again.
"""

import dataclasses
import json
import sys
import time
from pathlib import Path

from pipelines.common_windows import CommonWindows
from pipelines.config import DataConfig
from socialmd_tf import checkpoints
from socialmd_tf.config import PRESETS, TrainConfig

RUNS, DATA = Path("runs/interactions"), Path("data/nbody")
KINEMATIC = PRESETS["kinematic"]
PAIRWISE = dataclasses.replace(PRESETS["pairwise"], num_components=3)
VARIANTS = {
    "none": dataclasses.replace(PAIRWISE, interaction="none"),
    "stacked": dataclasses.replace(PRESETS["thesis"], head="kinematic", units=64, num_components=3, scale_floor=1e-5),
    "multiscale": KINEMATIC,
    "pairwise": PAIRWISE,
    "both": dataclasses.replace(KINEMATIC, interaction="both"),
}
TASKS = {
    # The next frame after two, what a way to see neighbours can tell of forces: one epoch of 5 000 windows.
    "frame": TrainConfig(epochs=1, windows=DataConfig(warm_up_steps=2, rollout_steps=1, rotations=1)),
    # Free rollouts of 30 frames after 5: two epochs of 2 000 windows, the first predicts one frame, the second five.
    "rollout": TrainConfig(epochs=2, curriculum=(1, 5), windows=DataConfig(rotations=1)),
}


def main():
    command, *names = sys.argv[1:] or ["help"]
    if command not in ("train", "table"):
        sys.exit(__doc__)
    for task in TASKS:
        if command == "table":
            print_table(task)
        else:
            for name in VARIANTS:
                if not names or f"{task}/{name}" in names:
                    train(task, name)


def train(task, name):
    """Train a variant and judge it, unless that has been done."""
    from socialmd_tf import training

    done = RUNS / task / f"{name}.json"
    if done.exists():
        return
    config = dataclasses.replace(
        TASKS[task],
        run_directory=str(RUNS / task / name),
        batch_size=16,
        learning_rate=3e-3,
        decay="cosine",
        clip_norm=1.0,
        model=VARIANTS[name],
    )
    begin = time.process_time()
    model, state = training.fit(config, DATA)
    seconds = time.process_time() - begin
    checkpoints.load_weights(model, Path(config.run_directory), len(state.epochs) - 1)
    results = judge(model, dataclasses.replace(config.windows, rotations=0))
    done.write_text(json.dumps({"seconds": seconds, "parameters": model.count_params(), **results}, indent=1))
    print(row(task, name), flush=True)


def judge(model, windows):
    """What `metrics.summary` says of all windows of the validation split."""
    from socialmd_tf import metrics
    from socialmd_tf.model import rollout_layer

    common = CommonWindows([windows])
    index, layout = common.index(DATA, "validation"), rollout_layer(model).head.layout
    scores = [
        metrics.score(model.predict_on_batch(batch.inputs(windows)), layout, batch.targets, batch.mask)
        for batch in common.batches(DATA, "validation", index)
    ]
    return metrics.summary(metrics.Scores.concatenate(scores), index[:, 0], mean_move=0.0)


def print_table(task):
    print("| variant | parameters | NLL | MAE | median AE | CPU time |\n|---|---:|---:|---:|---:|---:|")
    for name in VARIANTS:
        if (RUNS / task / f"{name}.json").exists():
            print(row(task, name))
    print()


def row(task, name):
    found = json.loads((RUNS / task / f"{name}.json").read_text())
    nll = f"{found['nll']:.2f} ± {found['nll_standard_error']:.2f}"
    mae = f"{found['mae']:.5f} ± {found['mae_standard_error']:.5f}"
    numbers = f"{found['parameters']:,} | {nll} | {mae} | {found['median_ae']:.6f} | {found['seconds']:.0f} s"
    return f"| `{name}` | {numbers} |".replace(",", " ")


if __name__ == "__main__":
    main()
