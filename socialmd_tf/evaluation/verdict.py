"""One sentence about an evaluation: better or worse than the baselines, by how much, and whether the spread is true."""

import math

from pipelines.counts import unit_suffix

BASELINES = ("constant_position", "constant_velocity", "constant_acceleration")
"""Predictors that anyone can have without training. The true forces are no baseline, but what cannot be known."""

TOLERANCES = {"coverage_50": 0.05, "coverage_90": 0.03}
"""Largest difference of a coverage from its ideal with which the spread counts as true."""

_TOLERANCE_OF_A_STEP = 2.0
"""The same for one step of rollouts, in these units: fewer positions are compared."""

_IDEALS, _ROUNDING = (0.5, 0.9), 1e-9


def verdict(results, comparisons, model, unit="1", is_sampled=False, of_paths=None):
    """The sentence.

    For the MAE and the NLL each, the baseline with the lowest value counts. The model is better or worse than it if the
    95 % interval of the paired difference over simulations excludes zero. The spread is true if the coverages of the
    50 % and 90 % regions are within 5 and 3 percentage points of these numbers, on average over the steps. The step at
    which they are most off is named if they are off by more than twice as much there. For models that are rolled out
    by draws, the MAE of their means is judged, and their drawn paths if there are ensembles of them.

    Args:
        results: Name of a predictor -> its numbers, as in `Findings`.
        comparisons: Paired differences, see `paired_bootstrap.compare`.
        model: Name of the model.
        unit: Length unit of the data.
        is_sampled: Whether the model is rolled out by draws: its density is that of one frame, its rollout has no NLL.
        of_paths: The sentence about its drawn paths, see `ensembles.verdict`; None without ensembles.

    Returns:
        The sentence; None if no baseline was evaluated.
    """
    rows = {row["second"]: row for row in comparisons if row["first"] == model and row["second"] in BASELINES}
    if not rows:
        return None
    words, numbers = [], []
    for kind in ("mae",) if is_sampled else ("mae", "nll"):
        best = min(rows, key=lambda name: _or_inf(results[name][kind]))
        words.append(_word(rows[best][f"{kind}_difference"], rows[best][f"{kind}_interval"]))
        numbers.append(_numbers(kind, results[model][kind], results[best][kind], rows[best], best, unit))
    judgement = f"{words[0]} than the best baseline"
    if is_sampled:
        judgement += " in the MAE of its means"
    elif words[0] != words[1]:
        judgement += f" in MAE and {words[1]} in NLL"
    return f"{model} is {judgement}: {', '.join(numbers)}; {_spread(results[model], is_sampled, of_paths)}."


def _word(difference, interval):
    low, high = interval
    if math.isfinite(low) and low <= 0 <= high:
        return "neither better nor worse"
    return "better" if difference < 0 else "worse"  # also where one simulation gives no interval


def _numbers(kind, ours, theirs, row, baseline, unit):
    low, high = row[f"{kind}_interval"]
    interval = f"95 % interval {low:.3g} to {high:.3g}" if math.isfinite(low) else "one simulation gives no interval"
    unit = "" if kind == "nll" else unit_suffix(unit)
    name = "NLL (nats)" if kind == "nll" else "MAE"
    return (
        f"{name} {ours:.3g}{unit} against {theirs:.3g}{unit} of {baseline} (difference "
        f"{row[f'{kind}_difference']:+.3g}, {interval})"
    )


def word_for(coverages):
    """What `coverage_50` and `coverage_90` of a dictionary say about the spread."""
    off = [each for each in _excess(coverages[name] for name in TOLERANCES) if abs(each) > 1 + _ROUNDING]
    if not off:
        return "true"
    if max(off) < 0 or min(off) > 0:
        return "too narrow" if max(off) < 0 else "too wide"
    return "of the wrong shape"


def _excess(coverages):
    """Differences of the coverages of both regions from their ideals, in units of `TOLERANCES`."""
    known = zip(coverages, _IDEALS, TOLERANCES.values(), strict=True)
    return [(coverage - ideal) / tolerance for coverage, ideal, tolerance in known]


def _spread(result, is_sampled, of_paths):
    if is_sampled:
        return of_paths or "its spread is that of single frames, which --num-samples judges by drawn paths"
    word, step = word_for(result), _step_that_is_off(result)
    half, most = (_share(result[name], result.get(f"{name}_standard_error")) for name in TOLERANCES)
    shares = f"{half} of the true positions are in the 50 % region, {most} in the 90 % region"
    if step is None:
        return f"its uncertainty is {word}: {shares}"
    half, most = (_share(result[f"{name}_per_step"][step], None) for name in TOLERANCES)
    return f"its uncertainty is {word} on average: {shares}; step {step + 1} is most off, with {half} and {most}"


def _step_that_is_off(result):
    """Index of the step whose coverages are most off, in units of `TOLERANCES`; None if none is by more than two."""
    steps = zip(*(result.get(f"{name}_per_step", []) for name in TOLERANCES), strict=True)
    off = [max(map(abs, _excess(coverages))) for coverages in steps]
    worst = max(range(len(off)), key=off.__getitem__, default=None)
    return None if worst is None or off[worst] <= _TOLERANCE_OF_A_STEP + _ROUNDING else worst


def _share(coverage, error):
    """A coverage in percent, with its standard error over simulations if there is one."""
    more = f" ± {100 * error:.1f}" if error is not None and math.isfinite(error) else ""
    return f"{100 * coverage:.1f}{more} %"


def _or_inf(value):
    return value if math.isfinite(value) else math.inf
