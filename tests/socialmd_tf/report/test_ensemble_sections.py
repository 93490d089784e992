import base64
import dataclasses
import json
import re

import numpy as np
import pytest
from PIL import Image

from socialmd_tf.report import ensemble_sections, html_page, markdown_page, plots, write
from tests.socialmd_tf.report.ensemble_examples import ensembles
from tests.socialmd_tf.report.report_examples import HOSTILE, findings


def numbers_of(encoded):
    """An array in plotly's JSON."""
    return np.frombuffer(base64.b64decode(encoded["bdata"]), encoded["dtype"]).tolist()


def test_fans_have_bands_runs_and_axes_in_the_units_of_the_data():
    page = ensemble_sections.fans(findings(ensembles=ensembles()))
    figures = [json.loads(each) for each in re.findall(r'class="figure">(.*?)</script>', page)]
    assert len(figures) == 3 and "Mean distance of OQL from the centre, test/1.npy" in page
    first, second, _ = figures
    assert first["layout"]["xaxis"]["title"]["text"] == "time (ps)"
    assert first["layout"]["yaxis"]["title"]["text"] == "radius (nm)"
    assert second["layout"]["xaxis"]["title"]["text"] == "distance (nm)"
    assert second["layout"]["yaxis"]["title"]["text"] == "pair distribution"
    names = [trace.get("name") for trace in first["data"]]
    assert names == [None, "middle 90 %", None, "middle 50 %", "re-runs", "re-runs", "median", "file"]
    assert ensemble_sections.fans(findings()) == ""


def test_the_rank_histogram_is_the_mean_over_the_statistics_of_a_model():
    found = ensembles()
    numbers = found.predictors["ours"]["statistics"]
    numbers["radius_OQL"] = {**numbers["radius_OQL"], "rank_histogram": [0.4, *[0.1] * 6, 0, 0, 0]}
    page = ensemble_sections.ranks(findings(ensembles=found, models={"ours": "m", "silent": "m"}))
    (figure,) = [json.loads(each) for each in re.findall(r'class="figure">(.*?)</script>', page)]
    ideal, ours = figure["data"]
    assert ours["name"] == "ours" and numbers_of(ideal["y"]) == pytest.approx([0.1, 0.1])
    assert numbers_of(ours["y"]) == pytest.approx([0.2, *[0.1] * 6, *[0.2 / 3] * 3], rel=1e-5)
    assert numbers_of(ours["x"]) == pytest.approx([0.05 + 0.1 * place for place in range(10)], rel=1e-5)
    assert ensemble_sections.ranks(findings()) == ""


def test_long_times_are_in_nanoseconds():
    found = ensembles()
    slow = [fan if fan.axis == "distance" else dataclasses.replace(fan, x=1000 * fan.x) for fan in found.fans]
    before = ensemble_sections.described(found.fans, found, "nm")
    after = ensemble_sections.described(slow, found, "nm")
    for (_, fan, title, _), (_, longer, slow_title, _) in zip(before, after, strict=True):
        assert longer.x.tolist() == pytest.approx(fan.x.tolist())
        assert slow_title == title.replace("ps", "ns")


@pytest.mark.slow_cases("name1")
@pytest.mark.parametrize("name", ["ours", HOSTILE])
def test_pages_have_the_sections_and_no_foreign_scripts(name):
    found = findings(ensembles=ensembles(name=name), models={name: "m"})
    page, text = html_page.html(found), markdown_page.markdown(found)
    assert '<section id="ensembles">' in page and '<section id="ensemble_calibration">' in page
    assert "<script>window.stolen" not in page
    assert "## Ensembles\n" in text and "## Calibration of ensembles\n" in text
    assert "## Ensembles" not in markdown_page.markdown(findings())


@pytest.mark.slow
def test_the_picture_has_the_fans_of_the_first_file(tmp_path, monkeypatch):
    found = findings(ensembles=ensembles())
    write.write(found, tmp_path)
    with Image.open(tmp_path / "fans.png") as picture:
        assert min(picture.size) > 300
    assert set(json.loads((tmp_path / "metrics.json").read_text())["ensembles"]) == {
        "num_samples",
        "num_steps",
        "stored_frames_between_steps",
        "frames",
        "num_reruns",
        "statistics",
        "predictors",
        "left_out",
    }
    drawn = []
    monkeypatch.setattr(plots, "fans", lambda file, charts, title: drawn.append((charts, title)))
    ensemble_sections.picture(None, found)
    ((charts, title),) = drawn
    assert [each[1].file for each in charts] == ["test/1.npy"] * 2 and "test/1.npy: 64 paths drawn from ours" in title
