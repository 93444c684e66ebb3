"""Mapping by structure alone: rigs of all families with nonsense names, odd proportions, poses and extra bones."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from blender_addon.retarget.mapping import find_mapping
from blender_addon.retarget.rig import RigError
from blender_addon.retarget.slots import FINGERS, SIDES
from blender_addon.retarget.structure import find_by_structure

from .creatures import CREATURES, bush
from .judge import judge
from .rigs import FAMILIES, Built, add_extras, axis_rotations, build, drop, drop_below, join, nonsense, place, vary
from .variants import clavicles_on_neck, random_variant, rechain, shuffle, turn_below

ALL_FINGERS = tuple(f"{s}_{f}" for s in SIDES for f in FINGERS)


def outcomes(seeds: range) -> tuple[Counter[str], str]:
    verdicts = {seed: judge(random_variant(seed)[0]) for seed in seeds}
    odd = [f"{seed} {v.outcome}: {v.detail}" for seed, v in verdicts.items() if v.outcome != "right"]
    return Counter(v.outcome for v in verdicts.values()), "\n".join(odd)


def test_twenty_rigs_of_nonsense() -> None:
    """At least 18 wholly right; of the others none is guessed."""
    count, odd = outcomes(range(20))
    assert count["right"] >= 18, odd
    assert count["wrong"] == count["exchanged"] == 0, odd


def test_a_hundred_more() -> None:
    count, odd = outcomes(range(100, 200))
    assert count["exchanged"] == 0, odd
    assert count["wrong"] <= 2, odd
    assert count["right"] >= 92, odd


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_in_its_own_pose(family: str) -> None:
    verdict = judge(nonsense(build(family), 1))
    assert verdict.outcome == "right", verdict.detail
    assert verdict.fingers_wrong == verdict.fingers_open == 0, verdict.detail
    assert verdict.twist_wrong == verdict.twist_open == 0, verdict.detail


def test_axes_scale_and_order_do_not_matter() -> None:
    built = vary(build("ue4"), 5, proportions=0.1)
    wanted = find_by_structure(built.rig)
    for turn in axis_rotations():
        assert find_by_structure(vary(built, turn=turn, scale=0.01).rig).bones == wanted.bones
    for seed in range(5):
        assert find_by_structure(shuffle(built, seed).rig).bones == wanted.bones
    assert find_by_structure(vary(built, 3, rolls=True, scale=1000).rig).bones == wanted.bones


def test_a_mirrored_rig_has_its_sides_exchanged() -> None:
    """Nothing but where things point tells left from right: neither names nor the order of bones."""
    for seed in range(20):
        built = random_variant(seed)[0]
        flip = np.array((-1, 1, 1))
        mirrored = place(built, built.rig.heads * flip, built.rig.tails * flip)
        if judge(built).outcome != "abstained":
            swap = {"l_": "r_", "r_": "l_"}
            bones = find_by_structure(built.rig).bones
            exchanged = {swap.get(s[:2], s[:2]) + s[2:]: b for s, b in bones.items()}
            assert find_by_structure(mirrored.rig).bones == exchanged


@pytest.mark.parametrize("down", [0.0, 0.8, 1.45])
@pytest.mark.parametrize("spine", [1, 2, 3, 6])
@pytest.mark.parametrize("neck", [0, 1, 2, 3])
def test_any_number_of_spine_and_neck_bones(spine: int, neck: int, down: float) -> None:
    built = rechain(rechain(build("vrm1"), "spine", spine), "neck", neck)
    verdict = judge(nonsense(vary(built, arms_down=down), 2))
    assert verdict.outcome == "right", verdict.detail


@pytest.mark.parametrize("family", ["mixamo", "ue5", "daz_genesis8", "rigify_deform"])
def test_missing_bones(family: str) -> None:
    whole = build(family)
    for built in (
        drop(whole, "l_clavicle", "r_clavicle"),
        drop(whole, "neck"),
        drop_below(whole, "l_toe", "r_toe"),
        drop_below(whole, *ALL_FINGERS),
        drop_below(whole, "l_little", "r_little"),
        drop(drop_below(whole, *ALL_FINGERS, "l_toe", "r_toe"), "l_clavicle", "r_clavicle"),
        clavicles_on_neck(whole),
    ):
        verdict = judge(nonsense(built, 3))
        assert verdict.outcome == "right", verdict.detail
        assert verdict.fingers_wrong == verdict.fingers_open == 0, verdict.detail


@pytest.mark.parametrize(
    "kinds", [("hair", "skirt"), ("long hair", "cape"), ("wings", "tail", "ik"), ("face rig", "ends")]
)
def test_bones_of_no_slot_stay_out(kinds: tuple[str, ...]) -> None:
    for family in ("vroid", "mixamo", "mpfb_default"):
        verdict = judge(nonsense(add_extras(vary(build(family), arms_down=0.7), *kinds), 4))
        assert verdict.outcome == "right", verdict.detail


def test_loose_tails() -> None:
    """Importers often leave every tail pointing somewhere: heads alone must do."""
    for family in FAMILIES:
        verdict = judge(nonsense(vary(build(family), 6, all_tails=True, rolls=True), 6))
        assert verdict.outcome == "right", verdict.detail


def facing_nowhere() -> Built:
    """Straight limbs, no fingers, no toes, feet that point down."""
    built = drop_below(build("smpl"), "l_toe", "r_toe", *ALL_FINGERS)
    heads, tails = built.rig.heads.copy(), built.rig.tails.copy()
    heads[:, 1] = tails[:, 1] = 0
    for side in SIDES:
        foot = built.rig.index(built.truth[f"{side}_foot"][0])
        tails[foot] = heads[foot] - (0, 0, 0.1)
    return place(built, heads, tails)


def test_no_side_is_guessed() -> None:
    built = facing_nowhere()
    with pytest.raises(RigError, match="left and right cannot be told apart"):
        find_by_structure(built.rig)
    # A bent knee is enough.
    for side in SIDES:
        built = turn_below(built, f"{side}_shin", np.array((1.0, 0, 0)), 0.25)
    assert judge(built).outcome == "right"


@pytest.mark.parametrize("creature", CREATURES)
def test_creatures_and_props_are_no_humanoids(creature: str) -> None:
    rig = CREATURES[creature]()
    with pytest.raises(RigError, match="No humanoid was found"):
        find_by_structure(rig)
    with pytest.raises(RigError, match="Choose a preset or write a mapping file"):
        find_mapping(rig)


@pytest.mark.parametrize("symmetric", [False, True])
def test_bones_at_random_are_no_humanoids(symmetric: bool) -> None:
    mapped = 0
    for seed in range(100):
        try:
            find_by_structure(bush(seed, symmetric))
        except RigError:
            continue
        mapped += 1
    assert mapped == 0


def test_half_a_body() -> None:
    for gone in (("l_thigh", "r_thigh"), ("l_clavicle", "r_clavicle"), ("l_clavicle",), ("r_thigh",)):
        with pytest.raises(RigError, match="No humanoid was found"):
            find_by_structure(nonsense(drop_below(build("ue4"), *gone), 1).rig)


def test_two_humanoids_are_both_named() -> None:
    one, two = (nonsense(build(f), k) for k, f in enumerate(("ue4", "mixamo")))
    for distance in (2.0, 0.8):
        with pytest.raises(RigError, match="two candidates for the hips") as error:
            find_by_structure(join(one.rig, two.rig, apart=distance))
        assert one.truth["pelvis"][0] in str(error.value)
        assert two.truth["pelvis"][0] in str(error.value)


def test_two_readings_are_told() -> None:
    """A body with two alike pairs of arms."""
    built = nonsense(build("smpl"), 1)
    rig = built.rig
    limbs = [
        i for i in range(len(rig.names)) if any(rig.names[i] in built.truth[f"{s}_{p}"] for s in SIDES for p in ARM)
    ]
    again = {i: len(rig.names) + k for k, i in enumerate(limbs)}
    parents = [*rig.parents, *(again.get(rig.parents[i], rig.parents[i]) for i in limbs)]
    names = [*rig.names, *(f"{rig.names[i]}again" for i in limbs)]
    rest = np.concatenate((rig.rest, rig.rest[limbs]))
    rest[len(rig.names) :, 2, 3] -= 0.04
    count = len(names)
    doubled = replace(
        rig, names=tuple(names), parents=tuple(parents), rest=rest, lengths=np.append(rig.lengths, rig.lengths[limbs]),
        deform=np.ones(count, bool),
    )  # fmt: skip
    with pytest.raises(RigError, match="can be read in two ways that differ in"):
        find_by_structure(doubled)


ARM = ("clavicle", "upper_arm", "forearm", "hand")


def test_confidence_falls_with_likeness() -> None:
    plain = find_by_structure(build("ue4").rig).confidence
    odd = find_by_structure(vary(build("ue4"), 8, proportions=0.3).rig).confidence
    assert 0.5 <= odd["l_thigh"] < plain["l_thigh"] <= 0.9
    assert plain["l_index"] < plain["l_thigh"]


def test_it_says_how_left_was_told() -> None:
    (note,) = find_by_structure(build("mixamo").rig).notes
    assert "toes" in note
    assert "thumbs" in note


def test_degenerate_rigs() -> None:
    built = build("mixamo")
    for heads in (np.zeros_like(built.rig.heads), built.rig.heads * [1, 1, 0], np.full_like(built.rig.heads, np.nan)):
        rest = built.rig.rest.copy()
        rest[:, :3, 3] = heads
        with pytest.raises(RigError, match="No humanoid"):
            find_by_structure(replace(built.rig, rest=rest))
    with pytest.raises(RigError, match="has no bones"):
        find_mapping(replace(built.rig, names=(), parents=(), rest=built.rig.rest[:0], lengths=built.rig.lengths[:0]))
