"""A fitted law in a run: fitted once, kept in `law.json` and `law.npz`, drawn in `forces.png`, given to the model."""

import dataclasses
import io
import math
import time
from pathlib import Path

import numpy as np

from pipelines.atomic_files import write_atomically, write_json
from pipelines.dataset import open_split
from pipelines.errors import UserError
from pipelines.manifest import Manifest
from pipelines.side_files import num_edge_types, smallest_half_height
from socialmd_tf.config import from_dict, load_json, to_dict
from socialmd_tf.config.terms import Channel, Factor, Terms
from socialmd_tf.fitting.candidates import check_choices
from socialmd_tf.fitting.dataset import constant_boxes, read_split
from socialmd_tf.fitting.fit import fit, fit_random
from socialmd_tf.fitting.selection import kind_of
from socialmd_tf.report.plots import draw_forces

JSON, ARRAYS, PICTURE = "law.json", "law.npz", "forces.png"
_CURVE_POINTS = 200


@dataclasses.dataclass(frozen=True)
class ModelLaw:
    """A law as a model holds it."""

    terms: Terms
    arrays: dict[str, np.ndarray]
    """`pairs` `[C, K]`, `bonds` `[E, K]`, `field` `[c, D, Q]`, `center` `[D]`, `length` `[]`, `friction` `[c]`, as far
    as there are, in units of length and frame intervals; and `<name>_errors`, their standard errors."""

    def set_weights(self, force):
        """Set the weights of a `SumOfTerms` with these terms."""
        scale = force.acceleration_scale
        for layer in (force.pairs, force.bonds):
            if layer is not None:
                layer.splines.coefficients.assign(self.arrays[layer.name] / scale)
        if force.field is not None:
            force.field.coefficients.assign(self.arrays["field"] / scale)
            force.field.center.assign(self.arrays["center"])
            force.field.log_length.assign(math.log(self.arrays["length"]))
        if force.friction is not None:
            force.friction.gamma.assign(self.arrays["friction"])


def check_fit(config, manifest, directory):
    """Refuse a fit that the data do not allow before a run begins.

    Args:
        config: The `TrainConfig`.
        manifest: The manifest of the dataset.
        directory: The dataset.

    Raises:
        UserError: A box changes in time, or the data cannot have a chosen term or cutoff.
    """
    for split in ("train", "validation"):
        constant_boxes(open_split(manifest, directory, split, config.windows), directory)
    height = smallest_half_height(manifest, directory) if manifest.is_periodic else None
    check_choices(config.fitting, height, num_edge_types(manifest, directory) > 0)


def law_of_run(run, data_directory):
    """The law of a run. If it has none yet, it is taken from the run of the initial weights, or fitted; and kept.

    Args:
        run: The `Run`, which has begun.
        data_directory: The dataset.

    Raises:
        UserError: The data cannot have a chosen term, or the files of the law are damaged.
    """
    if (run.directory / JSON).exists():
        return load_law(run.directory)
    if run.config.initial_weights is not None:
        source = Path(run.config.initial_weights)
        law, found = load_law(source), load_json(source / JSON)
    else:
        fitted, seconds = _fit(run.config, data_directory)
        law = model_law(fitted)
        found = {"terms": to_dict(law.terms), **description(fitted), "seconds": round(seconds, 1)}
    content = io.BytesIO()
    np.savez(content, **law.arrays)
    write_atomically(run.directory / ARRAYS, lambda file: file.write(content.getbuffer()))
    unit = Manifest.load(data_directory).length_unit
    draw_forces(found["distances"], found["curves"], unit, run.directory / PICTURE)
    write_json(run.directory / JSON, found)  # last: with it, the law is complete
    return law


def _fit(config, directory):
    start = time.monotonic()
    train, validation = (read_split(directory, split, config.windows) for split in ("train", "validation"))
    num_frames = train.positions.shape[1]
    print(f"fitting forces to {len(train)} trajectories of {num_frames} frames", flush=True)
    choices = {
        "choices": config.fitting,
        "log": lambda line: print(f"fitting forces, {time.monotonic() - start:.0f} s: {line}", flush=True),
    }
    if config.is_sampled:
        fitted = fit_random(train, validation, **choices)
    else:
        windows = config.windows
        steps = {"warm_up_steps": windows.warm_up_steps, "rollout_steps": windows.rollout_steps}
        fitted = fit(train, validation, **steps, **choices)
    for line in _found(fitted, "simulations, one frame ahead" if config.is_sampled else "windows"):
        print(line, flush=True)
    return fitted, time.monotonic() - start


def _found(fitted, whose):
    """What was found, in lines; `whose` names what the validation errors are those of."""
    yield f"forces: {', '.join(fitted.terms)}"
    for name, (gamma, error) in fitted.frictions.items():
        yield f"  {name}: gamma {gamma:.4g} +- {error:.1g} per frame"
    for trial in fitted.trials:
        verdict = "kept" if trial.is_kept else "left out"
        yield (
            f"  {trial.name}: {verdict}; median validation MAE {trial.with_term:.3g} with it, "
            f"{trial.without_term:.3g} without it"
        )
    errors = fitted.rollout_errors
    yield f"  validation MAE {errors.mean():.3g}, median {np.median(errors):.3g} over {len(errors)} {whose}"


def load_law(directory):
    """The law of a run.

    Raises:
        UserError: The files are missing or damaged.
    """
    try:
        terms = from_dict(Terms, load_json(directory / JSON)["terms"])
        with np.load(directory / ARRAYS) as file:
            return ModelLaw(terms, dict(file))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{directory / JSON}: expected a fitted law. {error}. Delete it to fit again") from None


def model_law(fitted):
    """A `FittedLaw` as a `ModelLaw`."""
    basis = fitted.law.basis
    pairs = [channel for channel in basis.channels if not channel.edge]
    bonds = [channel for channel in basis.channels if channel.edge]
    kinds = [channel.edge for channel in bonds]
    terms = Terms(
        pairs=tuple(Channel(_factor(channel.own), _factor(channel.other)) for channel in pairs),
        num_bond_types=max(kinds, default=0),
        bond_factor=_factor(bonds[0].own) if bonds else Factor(),
        fields=tuple(map(_factor, basis.fields)),
        frictions=tuple(map(_factor, basis.frictions)),
        num_knots=basis.knots.count,
        nearest=float(basis.knots.nearest),
        farthest=float(basis.knots.farthest),
        core=float(basis.core),
        cutoff=_or_zero(basis.cutoff),
        limit=_or_zero(basis.limit),
    )
    coefficients, errors = (_arrays(basis, kinds, values) for values in (fitted.law.coefficients, fitted.errors))
    origin = {"center": np.array(basis.center), "length": np.array(basis.length)}
    return ModelLaw(terms, coefficients | origin | {f"{name}_errors": values for name, values in errors.items()})


def _arrays(basis, kinds, values):
    """Coefficients `[P]` by kind of term, each in the shape of the layer's weights."""
    parts = {"pairs": [], "bonds": [], "field": [], "friction": []}
    for name, block in basis.blocks.items():
        parts[kind_of(name)].append(values[block])
    arrays = {name: np.stack(rows) for name, rows in parts.items() if rows}
    if kinds:
        bonds = np.zeros((max(kinds), basis.knots.count))
        bonds[np.array(kinds) - 1] = arrays["bonds"]
        arrays["bonds"] = bonds
    if "field" in arrays:
        arrays["field"] = arrays["field"].reshape(len(basis.fields), basis.num_dimensions, -1)
    if "friction" in arrays:
        arrays["friction"] = arrays["friction"][:, 0]
    return arrays


def _factor(factor):
    powers = tuple((float(index), float(power)) for index, power in factor.powers)
    return Factor(powers, tuple(map(float, factor.indicates or ())))


def _or_zero(value):
    return float(value) if math.isfinite(value) else 0.0


def description(fitted):
    """What was found, as JSON; lengths in the dataset's unit, times in frame intervals."""
    basis, errors = fitted.law.basis, fitted.rollout_errors
    distances = np.geomspace(basis.knots.nearest, basis.knots.farthest, _CURVE_POINTS)
    curves = {}
    for name in fitted.terms:
        if kind_of(name) in ("pairs", "bonds"):
            force, force_errors = fitted.curve(name, distances)
            curves[name] = {"force": force.tolist(), "standard_error": force_errors.tolist()}
    return {
        "found": list(fitted.terms),
        "friction": {
            name: {"gamma": gamma, "standard_error": error} for name, (gamma, error) in fitted.frictions.items()
        },
        "validation_mae": float(errors.mean()),
        "median_validation_mae": float(np.median(errors)),
        "trials": [dataclasses.asdict(trial) for trial in fitted.trials],
        "distances": distances.tolist(),
        "curves": curves,
    }
