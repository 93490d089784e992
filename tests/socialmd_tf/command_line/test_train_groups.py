import dataclasses
import subprocess
import sys

import pytest

from socialmd_tf.command_line.flags import find_flags
from socialmd_tf.command_line.train_groups import train_groups
from socialmd_tf.config import PRESETS, TrainConfig
from socialmd_tf.tune import TuneConfig


def fields(groups, title):
    (found,) = (group.fields for group in groups if group.title == title)
    return found


def shown(preset):
    return {
        name for group in train_groups(TrainConfig(model=PRESETS[preset])) if group.is_shown for name in group.fields
    }


@pytest.mark.parametrize("config_type", [TrainConfig, TuneConfig])
@pytest.mark.parametrize("preset", PRESETS)
def test_every_flag_is_in_one_group(config_type, preset):
    groups = train_groups(config_type(model=PRESETS[preset]))
    grouped = [name for group in groups for name in group.fields]
    assert len(grouped) == len(set(grouped))
    assert {flag.field for flag in find_flags(config_type)} <= set(grouped)


def test_the_parts_of_the_network_are_shown_and_others_are_not():
    assert {"model.bins", "model.filters", "model.units", "model.correlated"} <= shown("thesis")
    assert not {"model.cutoff", "model.charges", "model.lstm_layers"} & shown("thesis")
    assert {"model.cutoff", "model.pair_units", "model.charges", "model.units"} <= shown("verlet")
    assert not {"model.bins", "model.filters", "model.correlated", "model.dropout"} & shown("verlet")
    assert {"model.lstm_layers", "model.dropout"} <= shown("molecules-lstm")
    for preset in PRESETS:
        assert {"data", "epochs", "windows.subsample", "model.head", "model.num_components"} <= shown(preset)


def test_a_field_of_two_parts_is_shown_with_the_one_that_is_chosen():
    """The cutoff belongs to the pairwise interaction and to the Verlet head."""
    model = dataclasses.replace(PRESETS["verlet"], interaction="none")
    groups = train_groups(TrainConfig(model=model))
    assert "model.cutoff" in fields(groups, "Network, head verlet")
    assert "model.cutoff" not in fields(groups, "Network, interaction pairwise")


def test_the_flags_of_the_search_come_first():
    groups = train_groups(TuneConfig())
    assert groups[0].title == "Search" and {"output", "tuner", "ranges"} <= set(groups[0].fields)
    assert not {"data", "epochs", "model.head"} & set(groups[0].fields)


@pytest.mark.slow
def test_the_pages_of_train_and_tune_are_those_of_the_preset_and_need_no_tensorflow():
    script = (
        "import sys; from socialmd_tf.{0} import main\n"
        "sys.argv = ['{0}.py', '--preset', 'verlet', '--help{1}']\n"
        "try: main()\n"
        "except SystemExit as stop: assert not stop.code\n"
        "assert not {{'tensorflow', 'keras'}} & set(sys.modules)"
    )

    def page(command, all_flags=""):
        code = script.format(command, all_flags)
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    for command in ("train", "tune"):
        text, whole = page(command), page(command, "-all")
        assert "--model.charges" in text and "--model.bins" not in text
        assert "--model.charges" in whole and "--model.bins" in whole
    assert "--max-trials" in page("tune")
