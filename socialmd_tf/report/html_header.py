"""The top of the HTML report: what was evaluated, the verdict, and the first screen."""

import dataclasses
import math

from socialmd_tf.report import charts, html_figures, html_tables
from socialmd_tf.report.html_tables import escaped

_FIRST_COLUMNS = ("NLL (nats)", "MAE", "coverage 50 %", "coverage 90 %")


def header(title, findings):
    """The title and the verdict."""
    judgement, colon, numbers = (findings.metrics().get("verdict") or "").partition(":")
    numbers = numbers.replace(" %", "\N{NO-BREAK SPACE}%")
    sentence = f'<p class="verdict"><b>{escaped(judgement)}</b>{escaped(colon + numbers)}</p>' if judgement else ""
    return f"<header><h1>{escaped(title)}</h1>{sentence}</header>"


def facts(findings):
    """What was evaluated."""
    rows = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in _facts(findings))
    return f'<dl class="facts">{rows}</dl><p class="note">{escaped(findings.description())}</p>'


def _facts(findings):
    """(name, HTML) of what is known."""
    if findings.date:
        yield "Date", escaped(findings.date)
    if findings.command:
        yield "Command", f"<code>{escaped(findings.command)}</code>"
    for name, about in findings.about_models.items():
        parts = [f"preset {about['preset']}"] if "preset" in about else []
        if "num_parameters" in about:
            parts.append(f"{about['num_parameters']:,} parameters".replace(",", "\N{NO-BREAK SPACE}"))
        if "data" in about:
            parts.append(f"trained on {about['data']}")
        yield "Model", escaped(f"{name}: {', '.join(parts)}" if parts else name)
    if findings.about_data:
        yield "Data", escaped(_data(findings))


def _data(findings):
    about, step, unit = findings.about_data, findings.time_between_steps, findings.time_unit or ""
    particles, simulations = about["num_particles"], about["num_simulations"]
    span = f"{step * findings.windows.num_steps:.4g} {unit}".strip()
    return (
        f"{findings.data}, {findings.split} split: {simulations} simulation{'s' * (simulations != 1)}, "
        f"up to {particles} particle{'s' * (particles != 1)} in {about['num_dimensions']}D; "
        f"predicted time {span}, a step every {step:.4g} {unit}"
    ).rstrip()


def summary(table):
    """The columns of the table of predictors that the first screen has room for."""
    places = [place for place, name in enumerate(table.header) if name.startswith(_FIRST_COLUMNS)]
    rows = [(name, [cells[place - 1] for place in places]) for name, cells in table.rows]
    few = dataclasses.replace(
        table,
        header=[table.header[0], *(table.header[place] for place in places)],
        rows=rows,
        note="Lower NLL and MAE are better; ideal coverages are 50 % and 90 %. All columns are under Predictors.",
    )
    return html_tables.render(few)


def training(about_models):
    """Charts of the loss over the epochs, one for each model that recorded it."""
    pictures = []
    for name, about in about_models.items():
        losses = about.get("losses", {})
        named = (("training", losses.get("loss")), ("validation", losses.get("val_loss")))
        series = {
            label: (range(1, len(values) + 1), [float("nan") if value is None else value for value in values])
            for label, values in named
            if values and any(value is not None for value in values)
        }
        if any(sum(not math.isnan(value) for value in values) > 1 for _, values in series.values()):
            pictures.append(html_figures.figure(f"Training of {name}", charts.losses(series), "chart small"))
    return "\n".join(pictures)
