"""One sentence about an evaluation: better or worse than the baselines, by how much, and whether the spread is true."""

import math

BASELINES = ("constant_position", "constant_velocity", "constant_acceleration")
"""Predictors that anyone can have without training. The true forces are no baseline, but what cannot be known."""

TOLERANCES = {"coverage_50": 0.05, "coverage_90": 0.03}
"""Largest difference of a coverage from its ideal with which the spread counts as true."""

_ROUNDING = 1e-9


def verdict(results, comparisons, model, unit="1", is_sampled=False, of_paths=None):
    """The sentence.

    For the MAE and the NLL each, the baseline with the lowest value counts. The model is better or worse than it if the
    95 % interval of the paired difference over simulations excludes zero. The spread is true if the coverages of the
    50 % and 90 % regions are within 5 and 3 percentage points of these numbers. For models that are rolled out by
    draws, the MAE of their means is judged, and their drawn paths if there are ensembles of them.

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
    unit = "" if kind == "nll" or unit == "1" else f" {unit}"
    name = "NLL (nats)" if kind == "nll" else "MAE"
    return (
        f"{name} {ours:.3g}{unit} against {theirs:.3g}{unit} of {baseline} (difference "
        f"{row[f'{kind}_difference']:+.3g}, {interval})"
    )


def word_for(coverages):
    """What `coverage_50` and `coverage_90` of a dictionary say about the spread."""
    excess = {name: coverages[name] - ideal for name, ideal in (("coverage_50", 0.5), ("coverage_90", 0.9))}
    off = [each for name, each in excess.items() if abs(each) > TOLERANCES[name] + _ROUNDING]
    if not off:
        return "true"
    if max(off) < 0 or min(off) > 0:
        return "too narrow" if max(off) < 0 else "too wide"
    return "of the wrong shape"


def _spread(result, is_sampled, of_paths):
    if is_sampled:
        return of_paths or "its spread is that of single frames, which --num-samples judges by drawn paths"
    word = word_for(result)
    half, most = (_share(result[name], result.get(f"{name}_standard_error")) for name in TOLERANCES)
    return f"its uncertainty is {word}: {half} of the true positions are in the 50 % region, {most} in the 90 % region"


def _share(coverage, error):
    """A coverage in percent, with its standard error over simulations if there is one."""
    more = f" ± {100 * error:.1f}" if error is not None and math.isfinite(error) else ""
    return f"{100 * coverage:.1f}{more} %"


def _or_inf(value):
    return value if math.isfinite(value) else math.inf
