"""Run this TensorFlow's exports under the two previous releases: every signature, and a refusal.

    python benchmarks/older_tensorflow.py [--releases 2.20 2.19] [--environments DIR]

Exports and calls two small models here, and compares the answers with those of each older release, which pip installs
into a separate virtual environment (kept in DIR, if given). Prints the largest deviation from this release, relative to
1 + |value|, for every signature. The exit status is 1 if a deviation exceeds 1e-4 or a wrong horizon is not refused.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

SMALL = {
    **{"units": 8, "input_embedding": 8, "state_embedding": 8, "interaction_embedding": 8, "bins": 8},
    **{"filters": (4, 4), "side_lengths": (4.0, 2.0), "softening": 0.5},
}
MODELS = {"pooling": {}, "pairwise": {"interaction": "pairwise", "head": "kinematic"}}
SIZES = {"B": 2, "T": 3, "N": 5}


def value(name, spec):
    """A random input of the shape of a specification; three free axes stand for B, T and N."""
    free = iter({1: "B", 2: "BN", 3: "BTN"}.get(list(spec.shape).count(None), ""))
    shape = [SIZES[next(free)] if size is None else size for size in spec.shape]
    generator = np.random.default_rng(len(name))
    fixed = {"horizon": 4, "mask": 1, "seed": 7, "observed": [index % 2 == 0 for index in range(SIZES["B"])]}
    if name in fixed:
        return np.broadcast_to(np.array(fixed[name]), shape).astype(spec.dtype.as_numpy_dtype)
    return generator.normal(size=shape).astype(np.float32)


def ask(model):
    """Answers of every signature of a SavedModel, by signature and output; whether horizon 0 is refused."""
    import tensorflow as tf

    signatures = tf.saved_model.load(str(model)).signatures
    answers, inputs = {}, {}
    for name, signature in signatures.items():
        specs = signature.structured_input_signature[1]
        inputs[name] = {key: tf.constant(value(key, spec)) for key, spec in specs.items()}
        for key, tensor in signature(**inputs[name]).items():
            if tensor.dtype != tf.string:
                answers[f"{name}:{key}"] = tensor.numpy()
    try:
        signatures["rollout"](**{**inputs["rollout"], "horizon": tf.constant(0)})
    except tf.errors.InvalidArgumentError as error:
        return answers, "`horizon` must be" in str(error)
    return answers, False


def work(directory):
    """In an older release: call every model, compare with the stored answers, print JSON."""
    import tensorflow as tf

    deviations, refused = {}, []
    for name in MODELS:
        answers, is_refused = ask(directory / name / "1")
        refused.append(is_refused)
        expected = np.load(directory / f"{name}.npz")
        assert set(expected.files) == set(answers)
        for key, found in answers.items():
            deviation = float(np.max(np.abs(found - expected[key]) / (1 + np.abs(expected[key]))))
            signature = key.split(":")[0]
            deviations[signature] = max(deviations.get(signature, 0.0), deviation)
    print(json.dumps({"tensorflow": tf.__version__, "deviations": deviations, "refused": all(refused)}))


def export_models(directory):
    """Export the models and store their answers in this release."""
    import keras

    from socialmd_tf.config import ModelConfig
    from socialmd_tf.export.write import export
    from socialmd_tf.model import build_model

    for name, settings in MODELS.items():
        keras.utils.set_random_seed(0)
        path = export(build_model(ModelConfig(**SMALL, **settings)), directory / name, {})
        np.savez(directory / f"{name}.npz", **ask(path)[0])


def environment(directory, release):
    """Python of a virtual environment with a given release of TensorFlow only."""
    python = directory / release / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(directory / release)], check=True)
    install = [str(python), "-m", "pip", "install", "--quiet", f"tensorflow-cpu=={release}.*"]
    subprocess.run(install, check=True)
    return python


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--releases", nargs="+", default=["2.20", "2.19"])
    parser.add_argument("--environments", type=Path)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        return work(args.work)
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        export_models(directory)
        failed = False
        for release in args.releases:
            python = environment(args.environments or directory, release)
            alone = {key: text for key, text in os.environ.items() if key != "PYTHONPATH"}
            command = [str(python), __file__, "--work", str(directory)]
            result = subprocess.run(command, env=alone, stdout=subprocess.PIPE, text=True, check=True)
            found = json.loads(result.stdout)
            failed |= max(found["deviations"].values()) > 1e-4 or not found["refused"]
            print(f"TensorFlow {found['tensorflow']}: horizon 0 {'is' if found['refused'] else 'IS NOT'} refused")
            for signature, deviation in sorted(found["deviations"].items()):
                print(f"  {signature:16} {deviation:.1e}")
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
