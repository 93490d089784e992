"""Example windows in the HTML report: pictures of their paths, and the player."""

from socialmd_tf.report import charts, html_figures, player, plots
from socialmd_tf.report.html_tables import escaped

_MAX_DENSITIES = 6000
_MAX_POSITIONS = 5000
"""Of one path after the other, in a picture."""
_SPEEDS = (0.25, 0.5, 1, 2, 4)


def examples(windows, unit):
    """Pictures of the best, the median and the worst window, with the prediction of the first model."""
    if not windows:
        return ""
    name = next(iter(windows[0].predictions))
    keys = (("true", plots.TRUE), (f"mean predicted by {name}", plots.PREDICTED), ("observed", plots.OBSERVED))
    legend = "".join(f'<span class="key" style="background: {color}"></span>{escaped(text)}' for text, color in keys)
    note = (
        "Blue: predicted density; every frame of every particle is scaled to a maximum of 1. Where that would fill the "
        "picture, blue ellipses are the 90 % predictive regions at the last step instead. Windows are ranked by the "
        f"mean absolute error of {name}; the median is the lower of the two in the middle. Drag to zoom, double-click "
        "to zoom out."
    )
    pictures = [
        html_figures.figure(player.caption(window), _picture(window, unit), "picture")
        for window in windows
        if window.label in ("best", "median", "worst")
    ]
    return f"<p>Paths:{legend}</p>\n" + html_figures.row(
        pictures,
        f"{note}{_projected(windows)}{_wrapped(windows)}{_fewer_particles(windows)}{_fewer_positions(windows)}",
    )


def _projected(windows):
    return " The third dimension is projected out." if windows[0].truth.shape[-1] == 3 else ""


def _wrapped(windows):
    return "" if windows[0].box is None else " Positions are wrapped into the periodic box (dotted)."


def _picture(window, unit):
    mean, covariance = next(iter(window.predictions.values()))
    particles = player.evenly(mean.shape[1], player.MAX_PARTICLES)
    frames = player.evenly(len(mean), _MAX_DENSITIES // len(particles))
    observed, predicted = (_shown(window, count) for count in (len(window.warm_up), len(mean)))
    return charts.paths(
        window.warm_up[observed][:, particles],
        window.truth[predicted][:, particles],
        mean[predicted][:, particles],
        (mean[frames][:, particles], covariance[frames][:, particles]),
        unit,
        window.box,
    )


def _shown(window, count):
    """Frames of a picture, of `count`: evenly spread, the first and the last among them."""
    return player.evenly(count, max(2, _MAX_POSITIONS // min(window.truth.shape[1], player.MAX_PARTICLES)))


def _fewer_positions(windows):
    """Sentence on frames that the pictures do not show."""
    if all(len(_shown(window, len(window.truth))) == len(window.truth) for window in windows):
        return ""
    return " Paths join evenly spaced frames, so that the page stays below 4 MB."


def play(windows, unit, time):
    """The player: its controls, and the data for `player.js`."""
    if not windows:
        return ""
    is_deep = windows[0].truth.shape[-1] == 3
    colors = (
        "White: true paths. Red: predicted means, with the 90 % predictive regions of a Gaussian of the predicted mean "
        "and covariance. Grey: observed. Orange: drawn paths. Labels that would overlap are left out."
    )
    move = "Drag to turn, with shift to move" if is_deep else "Drag to move"
    with_mouse = (
        f"{move}; click, then scroll to magnify; double-click to go back. The space bar plays and pauses. The arrow "
        "keys move the slider, and where the picture is chosen, the picture."
    )
    with_fingers = f"Drag sideways to {'turn' if is_deep else 'move'}; use two fingers to move and to magnify."
    speeds = "".join(f'<option value="{speed}"{" selected" * (speed == 1)}>{speed:g} x</option>' for speed in _SPEEDS)
    point = "Point at a particle, or tap it, to read its position."
    return f"""<div class="controls">
<label class="window">Window <select id="player-window"></select></label>
<label>Predictor <select id="player-predictor"></select></label>
<button type="button" id="player-play">▶ Play</button>
<label>Speed <select id="player-speed">{speeds}</select></label>
<label class="time">Frame <input type="range" id="player-frame" min="0" step="1">
<output id="player-step"></output></label>
<label><input type="checkbox" id="player-regions" checked> 90 % regions</label>
<label><input type="checkbox" id="player-samples"> Drawn paths</label>
<label><input type="checkbox" id="player-labels"> Labels</label>
<span><button type="button" id="player-farther" aria-label="smaller">&minus;</button>
<button type="button" id="player-closer" aria-label="larger">+</button>
<button type="button" id="player-reset">Reset view</button></span>
</div>
<canvas id="player-plot" tabindex="0" role="img"
aria-label="particles of the chosen window at the chosen frame"></canvas>
<p class="note"><output id="player-info" data-empty="{point}">{point}</output></p>
<p class="note">{colors} <span class="mouse">{with_mouse}</span><span class="fingers">{with_fingers}</span>
{_wrapped(windows)}{_fewer_particles(windows)}{_fewer_frames(windows)}</p>
<script type="text/plain" id="player-data">{player.data(windows, unit, time)}</script>"""


def _fewer_particles(windows):
    """Sentence on particles that are not shown."""
    if max(window.truth.shape[1] for window in windows) <= player.MAX_PARTICLES:
        return ""
    return f" At most {player.MAX_PARTICLES} particles, spread evenly over all, are shown."


def _fewer_frames(windows):
    """Sentence on frames that the player does not show."""
    chosen = player.thin_out(windows)
    if all(len(window.truth) == len(kept) for window, (_, _, kept) in zip(windows, chosen, strict=True)):
        return ""
    return " Frames are thinned out evenly, so that the page stays below 4 MB."
