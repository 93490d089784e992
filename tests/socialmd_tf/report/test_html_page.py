import base64
import dataclasses
import gzip
import hashlib
import html
import html.parser
import json
import re

import numpy as np
import pytest
from scipy.stats import chi2

from socialmd_tf.evaluation.findings import Findings
from socialmd_tf.report import charts, html_header, html_page, html_sections, html_tables, player
from socialmd_tf.report.table import Cell, Table
from socialmd_tf.report.tables import tables
from tests.socialmd_tf.report.report_examples import (
    COMPARISONS,
    FORCES,
    HOSTILE,
    MOLECULES,
    findings,
    full_result,
    result,
    unpacked,
    window,
)


class Page(html.parser.HTMLParser):
    """Elements of a page with their attributes and texts."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.texts.append("")
        if tag not in ("meta", "link", "input", "img", "br", "wbr"):
            self.open.append(len(self.elements) - 1)

    def handle_endtag(self, tag):
        self.open.pop()

    def handle_data(self, text):
        for index in self.open:
            self.texts[index] += text

    def of(self, tag, **attributes):
        return [
            text
            for (name, found), text in zip(self.elements, self.texts, strict=True)
            if name == tag and attributes.items() <= found.items()
        ]


def page_of(**changes):
    return Page(html_page.html(findings(**changes)))


@pytest.fixture(scope="module")
def page():
    return page_of()


def player_of(page):
    """The data of the player."""
    return unpacked(page.of("script", id="player-data")[0])


def rows_of(page):
    """Every table's rows as lists of texts, but for the summary's."""
    cells = [
        (tag, text)
        for (tag, _), text in zip(page.elements, page.texts, strict=True)
        if tag in ("table", "tr", "th", "td")
    ]
    tables = []
    for tag, text in cells:
        if tag == "table":
            tables.append([])
        elif tag == "tr":
            tables[-1].append([])
        else:
            tables[-1][-1].append(" ".join(text.split()))
    return tables[1:]


def test_the_tables_are_those_of_the_findings(page):
    expected = tables(findings()).values()
    for found, table in zip(rows_of(page), expected, strict=True):
        assert found[0] == table.header
        for row, (name, cells) in zip(found[1:], table.rows, strict=True):
            texts = [f"{cell.text} {cell.detail}".strip() for cell in cells]
            assert row == [name, *(text.replace("-", "\N{MINUS SIGN}") for text in texts)]


def test_bold_cells_are_marked_and_explained():
    table = Table("title", ["name", "x"], [("a", [Cell("1", "± 2", True)]), ("b", [Cell("-3")])], "A note.", "lowest")
    page = Page(html_tables.render(table))
    assert page.of("td", **{"class": "best"}) == ["1 ± 2"]
    assert page.of("td") == ["1 ± 2", "\N{MINUS SIGN}3"]
    assert page.of("p") == ["A note. Bold: lowest."]


def test_charts_of_statistics_hold_the_truth_and_every_predictor(page):
    radial, displacement, energy, _ = figures_of(page)[8:12]
    assert [trace["name"] for trace in radial["data"]] == ["truth", "ours", "theirs"]
    for figure, (x, true, predicted) in (
        (radial, ([0.1, 0.2], [0.5, 0.6], [0.3, 0.4])),
        (displacement, ([1, 2], [1.5, 2.5], [1.0, 2.0])),
        (energy, ([1, 2], [0.2, 0.25], [0.5, 0.75])),
    ):
        for trace, y in zip(figure["data"], (true, predicted, predicted), strict=True):
            np.testing.assert_allclose(values_of(trace["x"]), x, rtol=1e-6)
            np.testing.assert_allclose(values_of(trace["y"]), y, rtol=1e-6)


def test_charts_of_molecules_leave_out_large_errors():
    far = {name: {**statistic, "relative_error": 2.0} for name, statistic in MOLECULES.items()}
    results = {"ours": result(molecules=MOLECULES, molecules_drawn=MOLECULES), "theirs": result(molecules=far)}
    page = page_of(results=results, comparisons=[], examples=[], pair_forces=[])
    assert page.of("h2")[-1] == "Statistics of molecules"
    assert [row[0] for row in rows_of(page)[1][1:]] == ["ours", "ours, drawn", "theirs"]
    distance, area = figures_of(page)[-2:]
    assert [trace["name"] for trace in area["data"]] == ["truth", "ours", "ours, drawn"]
    np.testing.assert_allclose(values_of(area["data"][0]["x"]), [1, 3])
    np.testing.assert_allclose(values_of(area["data"][0]["y"]), [160, 170])
    assert distance["layout"]["yaxis"]["title"]["text"] == "mean distance of OQL from the<br>centre (nm)"
    assert area["layout"]["yaxis"]["title"]["text"] == "solvent accessible surface area<br>(nm²)"


def test_a_dataset_of_single_particles_has_a_page():
    """Charts that need pairs are left out; the others are there."""
    lonely = full_result()
    del lonely["strata"], lonely["observables"]["radial_distribution"]
    page = page_of(
        results={"ours": lonely}, pair_forces=[], examples=[window(0, label="median", names=("ours",), num_particles=1)]
    )
    assert "Close encounters" not in page.of("h2")
    titles = page.of("figcaption")
    assert "Radial distribution" not in titles and "Mean squared displacement" in titles


def test_sections_without_content_are_left_out(page):
    few = page_of(results={"ours": result()}, comparisons=[], examples=[], about_models={}, pair_forces=[])
    assert few.of("h2") == ["Summary", "Predictors", "Error per step"]
    assert page.of("h2") == [
        "Summary",
        "Player of rollouts",
        "Predictors",
        "Paired differences",
        "Learned forces",
        "Error per step",
        "Calibration",
        "Close encounters",
        "Summary statistics",
        "Example windows",
    ]
    assert findings().description() in page.of("p")
    assert page.of("h1") == ["ours on the test split of nbody"]


def figures_of(page):
    """The charts, without the empty traces that second axes need."""
    figures = [json.loads(text) for text in page.of("script", **{"class": "figure"})]
    for figure in figures:
        figure["data"] = [trace for trace in figure["data"] if "name" in trace]
    return figures


def values_of(array):
    """A trace's numbers; plotly packs arrays as base64."""
    if isinstance(array, dict):
        return np.frombuffer(base64.b64decode(array["bdata"]), array["dtype"].replace("f", "<f"))
    return np.array(array)


def test_the_charts_hold_the_numbers_and_units(page):
    _, _, error, nll, calibration, *_ = figures_of(page)
    assert [trace["name"] for trace in error["data"]] == ["ours", "theirs"]
    np.testing.assert_allclose(values_of(error["data"][0]["y"]), full_result()["mae_per_step"], rtol=1e-6)
    np.testing.assert_allclose(values_of(nll["data"][1]["y"]), full_result()["nll_per_step"], rtol=1e-6)
    assert error["layout"]["yaxis"]["title"]["text"] == "MAE (nm)"
    assert nll["layout"]["yaxis"]["title"]["text"] == "NLL (nats)"
    assert error["layout"]["xaxis"]["title"]["text"] == "predicted step"
    diagonal, ours, _ = calibration["data"]
    assert values_of(diagonal["x"]).tolist() == values_of(diagonal["y"]).tolist() == [0, 1]
    np.testing.assert_allclose(values_of(ours["y"]), [0.2, 0.51, 0.87], rtol=1e-6)


def test_steps_have_times_beside_them(page):
    """A step is 0.5 ps: round times stand at the steps where they are."""
    for figure in figures_of(page)[2:4]:
        times = figure["layout"]["xaxis2"]
        assert times["title"]["text"] == "time (ps)" and times["side"] == "top" and times["matches"] == "x"
        np.testing.assert_allclose(0.5 * np.array(times["tickvals"]), np.array(times["ticktext"], float))
        assert min(times["tickvals"]) >= 1 and max(times["tickvals"]) == 4


def test_the_top_has_the_facts_the_verdict_and_the_training(page, monkeypatch):
    assert page.of("dd") == [
        "2026-11-26",
        "socialmd-tf evaluate --model saved_models/ours",
        "ours: preset forces, 34\N{NO-BREAK SPACE}353 parameters, trained on theirs",
        "nbody, test split: 20 simulations, up to 25 particles in 2D; predicted time 15 ps, a step every 0.5 ps",
    ]
    training = figures_of(page)[0]
    np.testing.assert_allclose(values_of(training["data"][1]["y"]), [2.5, 2.0, 1.75, 1.5])
    assert training["layout"]["yaxis"]["range"][1] < 3  # the first loss, 1e6, is above the chart
    assert page.of("p", **{"class": "verdict"}) == []
    with monkeypatch.context() as patch:
        patch.setattr(Findings, "metrics", lambda self: {"verdict": "Better than <all>."})
        assert page_of().of("p", **{"class": "verdict"}) == ["Better than <all>."]


def test_the_lines_of_the_training_are_named():
    """The first epoch of `forces` is the fit, which has a validation loss only."""
    text = html_header.training({"demo": {"losses": {"loss": [None, -15.5], "val_loss": [-16.5, -16.25]}}})
    (figure,) = figures_of(Page(text))
    assert [line["name"] for line in figure["data"]] == ["training", "validation"] and figure["layout"]["showlegend"]
    assert html_header.training({"demo": {"losses": {"loss": [None], "val_loss": [-16.5]}}}) == ""


def test_learned_forces_stand_over_the_distances_of_the_data(page):
    true, learned, pairs = figures_of(page)[1]["data"]
    assert (true["name"], learned["name"]) == ("true law", "ours")
    np.testing.assert_allclose(values_of(learned["x"]), [0.5, 1, 2])
    np.testing.assert_allclose(values_of(learned["y"]), [4, 1.1, 0.25])
    np.testing.assert_allclose(values_of(pairs["y"]), [0.25, 0.75])
    layout = figures_of(page)[1]["layout"]
    assert layout["xaxis"]["title"]["text"] == "distance (nm)"
    assert layout["yaxis"]["title"]["text"].replace("<br>", " ") == "acceleration (nm/ps²), attraction positive"


@pytest.mark.slow
def test_responses_to_single_neighbours_have_a_band_and_their_own_note():
    response = {**FORCES[0], "quantity": "move", "learned": {"ours": [1.0, float("nan"), 0.5]}, "true": None}
    response["ranges"] = {"ours": [[0.5, float("nan"), 0], [2, float("nan"), 1]]}
    text = html_page.html(findings(pair_forces=[*FORCES, response]))
    shown = Page(text)
    low, high, mean, _ = figures_of(shown)[2]["data"]
    np.testing.assert_allclose([values_of(low["y"]), values_of(high["y"])], [[0.5, 0], [2, 1]])
    assert high["fill"] == "tonexty" and mean["name"] == "ours"
    layout = figures_of(shown)[2]["layout"]
    assert layout["yaxis"]["title"]["text"].replace("<br>", " ") == "move per step (nm), attraction positive"
    assert layout["yaxis"]["range"][1] > 2
    assert "minus prediction without it" in text
    assert "squared time of a step" not in text
    assert "times the mass" in html_page.html(findings(pair_forces=[{**response, "quantity": "force"}]))
    assert "minus prediction without it" not in html_page.html(findings())


def test_a_predictor_has_one_colour_also_in_charts_that_lack_others():
    """Models of random motion have no NLL: the first baseline does not take their place in its chart."""
    results = {"ours": result(), "theirs": {**result(), "nll_per_step": [-3.0, -2.0]}}
    of_mae, of_nll = (
        {trace["name"]: trace["line"] for trace in json.loads(text)["data"] if "name" in trace}
        for text in Page(html_sections.steps(results, "nm", None)).of("script", **{"class": "figure"})
    )
    assert of_mae["theirs"] == of_nll["theirs"] != of_mae["ours"] and "ours" not in of_nll


def test_a_wide_range_of_positive_numbers_is_drawn_on_a_logarithmic_axis():
    def kind(*values):
        return json.loads(charts.lines({"a": (range(len(values)), values)}, "x", "y"))["layout"]["yaxis"].get("type")

    assert kind(0.01, 1.0) == "log"
    assert kind(0.5, 1.0) is None
    assert kind(0.0, 1.0) is None  # zero has no logarithm
    assert kind(-0.01, 1.0) is None
    assert kind(float("nan"), 0.0, 0.01, 1.0) == "log"
    drawn = json.loads(charts.lines({"a": ([1, 2, 3], [0.0, 0.01, 1.0])}, "x", "y"))
    assert drawn["layout"]["yaxis"]["title"]["text"] == "y (zeros not shown)"


def test_no_string_breaks_out_of_its_place():
    page = page_of(
        data=HOSTILE,
        models={HOSTILE: HOSTILE},
        results={HOSTILE: full_result(), "theirs": full_result()},
        comparisons=[{**COMPARISONS[0], "first": HOSTILE}],
        examples=[window(0, label=HOSTILE, names=(HOSTILE, "theirs"))],
        length_unit=HOSTILE,
    )
    assert page.of("img") == []
    assert page.of("title") == page.of("h1") == [f"{HOSTILE} on the test split of {HOSTILE}"]
    assert rows_of(page)[0][1][0] == HOSTILE
    assert len(page.of("script")) == len(page_of().of("script")) - 2  # pictures
    data = player_of(page)
    assert data["windows"][0]["label"].startswith(f"{HOSTILE}: MAE 0.123 (trajectory 0")
    assert data["windows"][0]["predictions"][0]["name"] == HOSTILE
    assert html.unescape(figures_of(page)[2]["data"][0]["name"]) == HOSTILE
    assert "<" not in figures_of(page)[2]["data"][0]["name"]


def test_only_the_pages_own_scripts_may_run_and_nothing_is_fetched(page):
    (policy,) = (found["content"] for tag, found in page.elements if "http-equiv" in found)
    assert policy.startswith("default-src 'none'")
    code = [
        text
        for (tag, found), text in zip(page.elements, page.texts, strict=True)
        if tag == "script" and "type" not in found
    ]
    code.append(gzip.decompress(base64.b64decode(page.of("script", id="library")[0])).decode())
    allowed = re.search("script-src (.*)", policy)[1].split()
    assert allowed == [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in code]
    addresses = [found[key] for _, found in page.elements for key in ("src", "href", "action") if key in found]
    assert all(address.startswith(("#", "data:")) for address in addresses)


def test_the_player_gets_the_predictions():
    shown = window(3)
    (given,) = unpacked(player.data([shown], "1"))["windows"]
    assert given["steps"] == [-2, -1, 0, 1, 2, 3, 4]
    assert given["particles"] == [0, 1, 2, 3, 4]
    for key, frames in (("observed", shown.warm_up), ("truth", shown.truth)):
        np.testing.assert_allclose(np.stack([given[key]["x"], given[key]["y"]], -1), frames, atol=5e-5)
    for prediction, (name, (mean, _)) in zip(given["predictions"], shown.predictions.items(), strict=True):
        assert prediction["name"] == name
        np.testing.assert_allclose(np.stack([prediction["mean"]["x"], prediction["mean"]["y"]], -1), mean, atol=5e-5)
    low, high = (np.array(given["center"]) + sign * given["size"] / 2 for sign in (-1, 1))
    assert (shown.truth.min(axis=(0, 1)) > low).all() and (shown.truth.max(axis=(0, 1)) < high).all()
    (_, drawn), (_, none) = ((each["name"], each.get("samples")) for each in given["predictions"])
    np.testing.assert_allclose(
        [[path["x"], path["y"]] for path in drawn], np.moveaxis(shown.samples["ours"], -1, 1), atol=5e-5
    )
    assert none is None and given["kinds"] == list(shown.kinds)


@pytest.mark.parametrize("deviation", [0.01, 0.2, 5.0])
def test_the_player_shows_whole_regions_unless_they_are_wide(deviation):
    """Particles from -3 to 3 with regions of radius deviation sqrt(4.605): 4 % are free around all positions."""
    shown = window(3, names=("ours",))
    mean, covariance = shown.predictions["ours"]
    covariance[:] = deviation**2 * np.eye(2)
    (given,) = unpacked(player.data([shown], "1"))["windows"]
    positions = np.concatenate([shown.warm_up, shown.truth, mean]).reshape(-1, 2)
    least = 1.08 * np.ptp(positions, axis=0).max()
    reach = np.abs(mean - given["center"]).max() + deviation * np.sqrt(4.605)
    assert given["size"] == pytest.approx(np.clip(2 * reach, least, 1.25 * least), rel=1e-3)


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_the_ellipse_is_the_projected_90_percent_region(num_dimensions):
    shown = window(4, num_dimensions=num_dimensions)
    (given,) = unpacked(player.data([shown], "1"))["windows"]
    l11, l21, l22 = (np.array(entry)[2, 1] for entry in given["predictions"][0]["region"][:3])
    angle = np.linspace(0, 2 * np.pi, 9)
    outline = np.stack([l11 * np.cos(angle), l21 * np.cos(angle) + l22 * np.sin(angle)], -1)
    covariance = shown.predictions["ours"][1][2, 1]
    # The projection of {z : z C^-1 z <= r^2} reaches r sqrt(u C u) in direction u; here by brute force.
    generator = np.random.default_rng(0)
    ball = generator.normal(size=(200_000, num_dimensions))
    ball /= np.linalg.norm(ball, axis=-1, keepdims=True)
    surface = np.sqrt(chi2.ppf(0.9, num_dimensions)) * ball @ np.linalg.cholesky(covariance).T
    for direction in ((1, 0), (0, 1), (0.6, 0.8), (0.8, -0.6)):
        fine = np.linspace(0, 2 * np.pi, 721)
        drawn = np.stack([l11 * np.cos(fine), l21 * np.cos(fine) + l22 * np.sin(fine)], -1) @ direction
        assert drawn.max() == pytest.approx((surface[:, :2] @ direction).max(), rel=5e-3)
    distance = np.einsum("ki,ij,kj->k", outline, np.linalg.inv(covariance[:2, :2]), outline)
    np.testing.assert_allclose(distance, chi2.ppf(0.9, num_dimensions), rtol=2e-3)


def test_particles_and_frames_are_thinned_out_evenly(monkeypatch):
    shown = [window(0, num_frames=(7, 10), num_particles=30)]
    ((particles, observed, predicted),) = player.thin_out(shown)
    assert (len(particles), len(observed), len(predicted)) == (30, 7, 10)
    monkeypatch.setattr(player, "MAX_PARTICLES", 10)
    monkeypatch.setattr(player, "MAX_NUMBERS", 800)
    ((particles, observed, predicted),) = player.thin_out(shown)
    assert len(particles) == 10 and {0, 29} <= set(particles) and set(np.diff(particles)) <= {3, 4}
    # 10 particles, 10 frames and 2 x 5 numbers for predictors, 2 for the truth, 4 for samples: every second frame.
    np.testing.assert_array_equal(observed, [0, 2, 4, 6])
    np.testing.assert_array_equal(predicted, [1, 3, 5, 7, 9])
    monkeypatch.setattr(player, "MAX_NUMBERS", 600)
    ((_, observed, predicted),) = player.thin_out(shown)
    np.testing.assert_array_equal(observed, [0, 3, 6])
    np.testing.assert_array_equal(predicted, [2, 5, 8, 9])  # the last one too


@pytest.mark.slow
def test_the_page_states_what_it_leaves_out(monkeypatch):
    shown = [window(0, num_frames=(2, 20), num_particles=300)]
    monkeypatch.setattr(player, "MAX_NUMBERS", 32_000)
    page = page_of(examples=shown)
    notes = " ".join(page.of("p"))
    assert "At most 200 particles, spread evenly over all, are shown." in notes
    assert "Frames are thinned out evenly, so that the page stays below 4 MB." in notes
    (given,) = player_of(page)["windows"]
    assert len(given["particles"]) == 200 and given["steps"] == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20]


@pytest.mark.slow
def test_the_page_stays_below_four_megabytes_for_any_data():
    """Eight windows of 1 000 particles and 2 000 steps of three predictors, at random, so that nothing is packed."""
    names = ("ours", "theirs", "constant_velocity")
    shown = [window(number, label, names, (5, 2000), 1000) for number, label in enumerate(("best", "median", "worst"))]
    shown += [dataclasses.replace(shown[0], label=f"rank {rank} of 9") for rank in range(2, 7)]
    long = {name: [0.1 + 0.01 * step for step in range(2000)] for name in result() if name.endswith("_per_step")}
    results = {name: {**result(), **long} for name in names}
    text = html_page.html(findings(results=results, examples=shown))
    assert len(text.encode()) < 4e6 and "Paths join evenly spaced frames" in text


def test_lines_of_many_points_are_thinned_out_and_keep_their_ends():
    (drawn,) = json.loads(charts.lines({"a": (range(1, 2001), np.arange(2000) % 7)}, "x", "y"))["data"]
    x, y = values_of(drawn["x"]), values_of(drawn["y"])
    assert len(x) == 500 and (x[0], x[-1]) == (1, 2000)
    np.testing.assert_array_equal(y, (x - 1) % 7)


def test_diverged_predictions_do_not_break_the_page():
    shown = window(5)
    mean, covariance = shown.predictions["ours"]
    mean[2:, 0], covariance[2:, 0] = np.nan, np.inf
    results = {
        "ours": {**full_result(), "mae": float("nan"), "nll": None, "coverage_90": None},
        "theirs": full_result(),
    }
    unsure = [{**COMPARISONS[0], "mae_difference": None, "mae_interval": [None, None]}]
    page = page_of(examples=[shown], results=results, comparisons=unsure)
    (given,) = player_of(page)["windows"]
    prediction = given["predictions"][0]
    assert prediction["mean"]["x"][2][0] is None and prediction["mean"]["x"][1][0] is not None
    _, ours, theirs = rows_of(page)[0]
    assert ours[1].startswith("n/a") and ours[3].startswith("n/a") and ours[-1] == "n/a"
    assert theirs[1] in page.of("td", **{"class": "best"})
    assert rows_of(page)[1][1][1] == "n/a"


def test_pictures_are_of_the_best_the_median_and_the_worst_and_the_player_has_all():
    shown = [window(i, label=label) for i, label in enumerate(("best", "worst", "rank 3 of 9"))]
    page = page_of(examples=shown)
    labels = [text.partition(":")[0] for text in page.of("figcaption") if "MAE" in text]
    assert labels == ["best", "worst"]
    assert len(player_of(page)["windows"]) == 3


def test_three_dimensions_are_said_to_be_projected(page):
    flat = " ".join(page.of("p"))
    deep = " ".join(page_of(examples=[window(0, num_dimensions=3)]).of("p"))
    for words in ("Drag to turn", "projected out"):
        assert words in deep and words not in flat


@pytest.mark.slow
def test_a_unit_of_one_is_not_written():
    page = page_of(length_unit="1")
    assert rows_of(page)[0][0][3] == "MAE"
    assert figures_of(page)[2]["layout"]["yaxis"]["title"]["text"] == "MAE"
