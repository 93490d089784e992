"""The examples of docs/serving.md, run against `socialmd-tf serve`."""

import json
import re
import shutil
import subprocess

import pytest

from tests.socialmd_tf.serving.running import ROOT

TEXT = (ROOT / "docs" / "serving.md").read_text()
COUPLING = (ROOT / "docs" / "how-to" / "couple.md").read_text()


def blocks(heading, language):
    """The fenced examples of one section."""
    section = re.search(rf"^## {heading}$(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL).group(1)
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


CURL = [*blocks("On this machine", "sh")[1:], *blocks("With curl", "sh")]


def against(server, example):
    """The example with the addresses and the name of the test's server."""
    for protocol, port in (("grpc", "8500"), ("rest", "8501")):
        example = example.replace(f"127.0.0.1:{port}", server.address(protocol))
    return re.sub(r"\bdemo\b|\bnbody\b", server.name, example)


def test_the_python_examples_run(server):
    examples = blocks("From Python", "python")
    assert len(examples) == 2 and len(CURL) == 6
    names = {}
    exec(against(server, "\n".join(examples)), names)
    assert names["drawn"].shape == (1, 30, 2, 2)
    assert names["covariance"].shape == (1, 2, 2, 2)


def test_the_first_python_example_runs(server):
    (example,) = blocks("On this machine", "python")
    names = {}
    exec(against(server, example), names)
    assert names["covariance"].shape == (1, 30, 2, 2, 2)


def test_the_page_on_coupling_runs(server):
    """Eleven frames after the fifth, of which one is missing: six surprises of two particles."""
    (example,) = re.findall(r"^```python\n(.*?)^```$", COUPLING, re.MULTILINE | re.DOTALL)
    names = {}
    exec(against(server, example), names)
    assert [surprise.shape for surprise in names["surprises"]] == [(2,)] * 6


@pytest.mark.slow_cases("0", "1")
@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("number", range(len(CURL)))
def test_the_curl_examples_are_answered(server, tmp_path, number):
    script = against(server, CURL[number]).replace("curl -s", "curl -s -w '\\n%{http_code}\\n'")
    script = re.sub(r"curl (.*)> state.json", r"curl \1| head -n -1 > state.json", script)
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    answers = re.findall(r"^(.*)\n(\d{3})$", result.stdout, re.MULTILINE)
    assert len(answers) == script.count("curl") - script.count("state.json)") - script.count("> state.json")
    for answer, status in answers:
        assert status == "200", answer
        assert {"outputs", "predictions", "model_version_status", "metadata"} & set(json.loads(answer))


def test_every_signature_has_an_example_in_each_format_that_takes_it(in_process):
    text = "".join(blocks("With curl", "sh"))
    shown = set(re.findall(r'"signature_name": "(\w+)", "(inputs|instances)"', text))
    signatures = set(in_process[2]._loaded.signatures) - {"serving_default"}
    in_rows = {"rollout_rows", "initial_state", "step"}
    assert shown == {(name, "inputs") for name in signatures} | {(name, "instances") for name in in_rows}
