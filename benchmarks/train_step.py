"""Time a training step of thesis size: fused pooling, the textbook version, and the presets.

    python benchmarks/train_step.py [--rounds 3] [--steps 5] [--variants thesis textbook thesis-monogrid]

Every variant runs in a separate process, which measures its peak memory. Rounds alternate between the variants, so that
other load affects them alike. Prints medians over all steps, quartiles, ratios to `thesis`, the time of the processors,
summed over cores, which other load changes least, peak memory, and the floor as a percentage of the step: the step's
arithmetic at the rate of this machine's matrix multiplication. The textbook version builds the pooled tensor with one
segment sum and convolves it densely.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time

import numpy as np

BATCH_SIZE, NUM_PARTICLES = 8, 25
NUM_STEPS = 34  # recurrent steps: 5 + 30 - 1
WARM_UP = 2
VARIANTS = ("thesis", "textbook", "thesis-monogrid", "no-interaction", "pairwise", "unrolled")


def build(variant):
    """A compiled model whose predicted particles stay where they are.

    New weights would predict all of them at the origin, within range of each other in every grid. Training leaves this
    state within a few steps.
    """
    from socialmd_tf.model import build_model, rollout_layer
    from socialmd_tf.training import loop

    register_staying()
    register_textbook()
    model = build_model(network_of(variant))
    rollout_layer(model).unroll = variant == "unrolled"
    loop.compile_for_training(model, 1e-3)
    return model


def register_staying():
    """Register the head "staying"."""
    from keras import ops

    from socialmd_tf import layers
    from socialmd_tf.parts import register_head

    @register_head("staying", reads=("correlated",))
    def staying(config, name):
        return Staying(config.num_dimensions, config.num_components, config.correlated, config.scale_floor, name=name)

    class Staying(layers.AbsoluteHead):
        def call(self, outputs, inputs=None, state=()):
            parameters, state = super().call(outputs, inputs, state)
            means = parameters[..., :2] * 1e-3 + inputs["positions"]
            return ops.concatenate([means, parameters[..., 2:]], axis=-1), state


def register_textbook():
    """Register the interaction "textbook"."""
    from keras import ops

    from socialmd_tf import layers
    from socialmd_tf.layers.pooling.stacked_state_pooling import pair_displacements, pair_mask, seen_bins
    from socialmd_tf.parts import INTERACTIONS, register_interaction

    @register_interaction("textbook", reads=INTERACTIONS["stacked_pooling"].reads)
    def textbook(config, name):
        return Textbook(
            bins=config.bins,
            side_lengths=config.side_lengths,
            filters=config.filters,
            kernel_size=config.kernel_size,
            state_embedding=config.state_embedding,
            embedding=config.interaction_embedding,
            name=name,
        )

    class Textbook(layers.StackedPoolingInteraction):
        """The same weights, used as a textbook has it: the pooled tensor by one segment sum, then a plain CNN."""

        def call(self, positions, velocities, features, hidden_state, mask, box=None):
            grids = self.pool(positions, self.state_embedding(hidden_state), mask)
            for convolution in (self.pooled_convolution, *self.convolutions):
                grids = ops.relu(ops.conv(grids, convolution.kernel, padding="same") + convolution.bias)
                grids = ops.max_pool(grids, 2)
            gamma = self.embedding(ops.reshape(grids, (-1, grids.shape[1] * grids.shape[2] * grids.shape[3])))
            return ops.reshape(gamma, (*ops.shape(positions)[:2], self.embedding.units))

        def pool(self, positions, states, mask):
            """Sums of the neighbours' states in the bins of all grids, `[B * N, bins, bins, C]`."""
            bins, sides = self.pooled_convolution.bins, self.pooled_convolution.side_lengths
            displacements, pairs = pair_displacements(positions), pair_mask(positions, mask)
            flat = ops.stack([seen_bins(displacements, pairs, side, bins) for side in sides], axis=-1)
            system, i, j, grid = ops.nonzero(flat >= 0)
            num_particles = ops.cast(ops.shape(positions)[1], system.dtype)
            seen_by, seen = system * num_particles + i, system * num_particles + j
            flat = ops.take(ops.reshape(flat, (-1,)), (seen_by * num_particles + j) * len(sides) + grid)
            terms = ops.take(ops.reshape(states, (-1, states.shape[-1])), seen, axis=0)
            segments = seen_by * bins**2 + ops.cast(flat, seen_by.dtype)
            num_segments = ops.shape(positions)[0] * ops.shape(positions)[1] * bins**2
            pooled = ops.segment_sum(terms, segments, num_segments)
            return ops.reshape(pooled, (-1, bins, bins, states.shape[-1]))


def network_of(variant):
    """The `ModelConfig` of a variant, with the head "staying" instead of "absolute"."""
    import dataclasses

    from socialmd_tf.config import PRESETS

    config = PRESETS[variant if variant in PRESETS else "thesis"]
    interaction = {"no-interaction": "none", "textbook": "textbook"}.get(variant, config.interaction)
    head = "staying" if config.head == "absolute" else config.head
    return dataclasses.replace(config, interaction=interaction, head=head)


def batch():
    """A batch like the simulated ones: particles in a disc, in straight motion."""
    rng = np.random.default_rng(0)
    radius = 3.5 * np.sqrt(rng.uniform(size=(BATCH_SIZE, 1, NUM_PARTICLES, 1)))
    angle = rng.uniform(0, 2 * np.pi, size=radius.shape)
    start = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    velocity = rng.normal(0, 0.03, size=start.shape)
    frames = (start + velocity * np.arange(35)[:, None, None]).astype("float32")
    features = rng.normal(size=(BATCH_SIZE, NUM_PARTICLES, 2)).astype("float32")
    mask = np.ones((BATCH_SIZE, NUM_PARTICLES), "float32")
    return {"positions": frames[:, :5], "features": features, "mask": mask}, frames[:, 5:]


def work(variant, num_steps):
    """Time one variant; print JSON."""
    inputs, targets = batch()
    model = build(variant)
    started = time.perf_counter()
    for _ in range(WARM_UP):
        model.train_on_batch(inputs, targets)
    first_steps = time.perf_counter() - started
    times, processor_times = [], []
    for _ in range(num_steps):
        started, processor_started = time.perf_counter(), time.process_time()
        model.train_on_batch(inputs, targets)
        times.append(time.perf_counter() - started)
        processor_times.append(time.process_time() - processor_started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    result = {"times": times, "processor_times": processor_times, "peak_gib": peak, "first_steps": first_steps}
    print(json.dumps({**result, "flops": matmul_rate()}))


def matmul_rate():
    """Floating point operations per second of a 2000 x 2000 matrix product, median of 15."""
    import tensorflow as tf

    a = tf.random.normal((2000, 2000))
    times = []
    for _ in range(15):
        started = time.perf_counter()
        tf.matmul(a, a).numpy()
        times.append(time.perf_counter() - started)
    return 2 * 2000**3 / np.median(times)


def floor_operations():
    """Operations of a thesis-size training step that no rearrangement saves.

    These are the second and third convolution and the dense layers, once forward and twice as much backward; the
    additions of the first convolution are few.
    """
    convolutions = 16 * 16 * 4 * 4 * 16 * 16 + 8 * 8 * 4 * 4 * 16 * 32
    dense = 4 * 32 + 128 * 32 + 32 * 16 * 16 + 512 * 32 + (64 + 128) * 512 + 160 * 5
    return 3 * 2 * (convolutions + dense) * BATCH_SIZE * NUM_PARTICLES * NUM_STEPS


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=VARIANTS[:3])
    parser.add_argument("--work", choices=VARIANTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments.work, arguments.steps)
        return
    results = {variant: [] for variant in arguments.variants}
    for round_ in range(arguments.rounds):
        for variant in arguments.variants:
            command = [sys.executable, __file__, "--work", variant, "--steps", str(arguments.steps)]
            environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
            run = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=True)
            results[variant].append(json.loads(run.stdout.splitlines()[-1]))
            print(f"round {round_ + 1}: {variant} {np.median(results[variant][-1]['times']):.3f} s", flush=True)
    report(results)


def report(results):
    reference = np.median([run["times"] for run in results.get("thesis", next(iter(results.values())))])
    rate = np.median([run["flops"] for runs in results.values() for run in runs])
    floor = floor_operations() / rate
    print(f"\nmatrix multiplication {rate / 1e9:.0f} GFLOP/s; floor of a thesis step {floor:.2f} s")
    print(
        f"{'variant':20s} {'median s':>9s} {'quartiles':>15s} {'/ thesis':>9s} {'CPU s':>6s} {'floor share':>12s} "
        f"{'peak GiB':>9s} {'first steps s':>14s}"
    )
    for variant, runs in results.items():
        times = np.concatenate([run["times"] for run in runs])
        low, median, high = np.percentile(times, (25, 50, 75))
        share = f"{100 * floor / median:.0f} %" if variant in ("thesis", "textbook") else ""
        peak, first = (np.median([run[key] for run in runs]) for key in ("peak_gib", "first_steps"))
        print(
            f"{variant:20s} {median:9.3f} {f'{low:.3f}-{high:.3f}':>15s} {median / reference:9.2f} "
            f"{np.median([run['processor_times'] for run in runs]):6.2f} {share:>12s} "
            f"{peak:9.2f} {first:14.1f}"
        )


if __name__ == "__main__":
    main()
