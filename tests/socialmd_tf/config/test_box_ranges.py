import dataclasses
import math

import pytest

from pipelines.errors import UserError
from socialmd_tf.config import PRESETS, ModelConfig
from socialmd_tf.config.box_ranges import box_notes, check_law, ranges, reach, with_law, within_box
from socialmd_tf.config.terms import Channel, Terms


def test_ranges_are_those_of_the_parts_chosen():
    assert ranges(PRESETS["thesis"]) == {"side_lengths": 5.5}
    assert ranges(PRESETS["verlet"]) == {"cutoff": 20.0}
    assert ranges(PRESETS["lstm"]) == {}
    kinematic = dataclasses.replace(PRESETS["kinematic"], num_dimensions=3)
    assert ranges(kinematic) == {"side_lengths": pytest.approx(5.5 * (1 + 1 / 8) * math.sqrt(3))}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_ranges_are_shortened_to_half_the_height_and_no_further(preset, num_dimensions):
    config = dataclasses.replace(PRESETS[preset], num_dimensions=num_dimensions)
    assert within_box(config, math.inf) == within_box(config, 1e3) == config
    fitted = within_box(config, 3.0)
    assert ranges(fitted) == {name: pytest.approx(min(reach, 3.0)) for name, reach in ranges(config).items()}
    assert within_box(fitted, 3.0) == fitted
    assert len(fitted.side_lengths) == len(config.side_lengths)


def test_a_shortened_default_is_said_and_a_choice_is_refused():
    defaults = PRESETS["verlet"]
    assert box_notes(defaults, defaults, math.inf) == []
    (note,) = box_notes(defaults, defaults, 3.0)
    assert note.startswith("--model.cutoff is 3 instead of 20")
    chosen = dataclasses.replace(defaults, cutoff=4.0)
    assert box_notes(chosen, defaults, 4.0) == []
    with pytest.raises(UserError, match=r"`cutoff` must .* 3, .* 4, .*--model\.cutoff"):
        box_notes(chosen, defaults, 3.0)


def test_a_law_reaches_as_far_as_its_cutoff():
    config = dataclasses.replace(PRESETS["langevin"], force="basis", terms=Terms(pairs=(Channel(),), cutoff=4.0))
    assert reach(PRESETS["langevin"]) == 2.5 and reach(config) == 4.0 and reach(PRESETS["lstm"]) == 0.0
    check_law(config, 4.0)
    with pytest.raises(UserError, match=r"law of the initial weights .* 3, .* cutoff of 4"):
        check_law(config, 3.0)
    everywhere = dataclasses.replace(config, terms=Terms(pairs=(Channel(),)))
    check_law(everywhere, math.inf)
    with pytest.raises(UserError, match="cutoff of inf"):
        check_law(everywhere, 3.0)
    check_law(dataclasses.replace(config, terms=Terms(num_bond_types=1, cutoff=4.0)), 3.0)  # bonds have no images


def test_a_periodic_box_has_no_walls():
    with pytest.raises(UserError, match="`walls` must be 0 in a periodic box"):
        ModelConfig(head="verlet", interaction="pairwise", periodic=True, walls=3.0)


def test_a_network_sees_no_farther_than_a_fitted_force_unless_the_user_wants_it_to():
    config, pairs = PRESETS["forces"], (Channel(),)
    short, long, everywhere = Terms(pairs=pairs, cutoff=2.5), Terms(pairs=pairs, cutoff=50.0), Terms(pairs=pairs)
    found = {terms.cutoff: with_law(config, terms, is_chosen=False) for terms in (short, long, everywhere)}
    assert {cutoff: each.cutoff for cutoff, each in found.items()} == {2.5: 2.5, 50.0: 20.0, 0.0: 20.0}
    assert [each.terms for each in found.values()] == [short, long, everywhere]
    assert with_law(config, short, is_chosen=True) == dataclasses.replace(config, terms=short)
