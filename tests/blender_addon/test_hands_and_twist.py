"""A hand's twist is shared out over the forearm, a shoulder's over the upper arm; hands follow the knuckles."""

from __future__ import annotations

import numpy as np
import pytest

from blender_addon.retarget.mapping import Mapping
from blender_addon.retarget.motion import read_motion
from blender_addon.retarget.rig import RigSpec
from blender_addon.retarget.rotations import Array, about, from_matrix, inverse, multiply, rotate, twist_angle, unit
from blender_addon.retarget.slots import FINGERS
from blender_addon.retarget.solve import Retargeted, RetargetSettings, retarget

from .armatures import make_motion, performer
from .make_take import body
from .rigs import Built, build, drop, from_points

X, Y, Z = np.eye(3)
ANGLES = np.radians(np.linspace(0, 100, 21))


def still(built: Built, **turned: Array) -> Retargeted:
    """The rig after a performer of its proportions who stands in T-pose, but for (N, 4) turns of some bones."""
    joints = performer(built.rig, built.truth)
    count = len(next(iter(turned.values())))
    turns = {b["name"]: np.tile([1.0, 0, 0, 0], (count, 1)) for b in body()["bones"]} | turned
    take = make_motion(joints, turns, np.tile(joints["pelvis"], (count, 1)))
    settings = RetargetSettings(foot_lock=False, fingers=False)
    return retarget(read_motion(take, take.people[0]), built.rig, Mapping(built.truth, {}, "file"), settings)


def twisted(result: Retargeted, rig: RigSpec, bone: str) -> Array:
    """(N,) degrees by which a bone of a T-posed left arm is turned about the arm."""
    return np.degrees(twist_angle(np.broadcast_to(result.pose.turn(rig.index(bone)), (len(ANGLES), 4)), X))


def about_x(angle: Array) -> Array:
    return about(np.broadcast_to(X, (len(angle), 3)), angle)


@pytest.mark.parametrize("name", ["mixamo", "vrm1", "cmu"])
def test_a_lone_forearm_takes_half_of_the_hands_twist(name: str) -> None:
    built = build(name)
    result = still(built, l_hand=about_x(ANGLES))
    fore, hand = (twisted(result, built.rig, built.truth[f"l_{p}"][0]) for p in ("forearm", "hand"))
    assert np.allclose(hand, np.degrees(ANGLES), atol=0.1)
    assert np.allclose(fore, hand / 2, atol=0.1)


@pytest.mark.parametrize("name", ["ue4", "ue5", "character_creator", "daz_genesis9"])
def test_twist_bones_of_the_forearm_wind_up_to_the_hand(name: str) -> None:
    built = build(name)
    result = still(built, l_hand=about_x(ANGLES))
    bones = [built.truth["l_forearm"][0], *built.truth["l_forearm_twist"], built.truth["l_hand"][0]]
    shares = np.array([twisted(result, built.rig, b)[-1] for b in bones]) / np.degrees(ANGLES[-1])
    wrist, elbow = (built.rig.heads[built.rig.index(built.truth[f"l_{p}"][0])][0] for p in ("hand", "forearm"))
    places = [(built.rig.heads[built.rig.index(b)][0] - elbow) / (wrist - elbow) for b in bones]
    assert np.allclose(shares, places, atol=0.01), (shares, places)
    assert shares[0] == 0 and abs(shares[-1] - 1) < 0.01


@pytest.mark.parametrize("name", ["daz_genesis8", "mpfb_default", "rigify_deform"])
def test_two_forearm_bones_one_behind_the_other_share_the_twist(name: str) -> None:
    built = build(name)
    result = still(built, l_hand=about_x(ANGLES))
    shares = [twisted(result, built.rig, b)[-1] / np.degrees(ANGLES[-1]) for b in built.truth["l_forearm"]]
    assert np.allclose(shares, [0.25, 0.75], atol=0.01)


@pytest.mark.parametrize("name", ["ue5", "daz_genesis8"])
def test_the_upper_arm_unwinds_towards_the_shoulder(name: str) -> None:
    """The arm as a whole is rolled: at the elbow wholly, near the shoulder hardly, or the shoulder would tear."""
    built = build(name)
    rolled = about_x(ANGLES)
    result = still(built, l_upper_arm=rolled, l_forearm=rolled, l_hand=rolled)
    leaves = built.truth.get("l_upper_arm_twist", ())
    bones = [*leaves, built.truth["l_upper_arm"][0]] if leaves else [*built.truth["l_upper_arm"]]
    shares = [twisted(result, built.rig, b)[-1] / np.degrees(ANGLES[-1]) for b in bones]
    assert shares == sorted(shares)
    assert shares[0] < 0.55
    assert abs(shares[-1] - 1) < 0.01
    assert all(abs(twisted(result, built.rig, b)[-1] - 100) < 0.1 for b in built.truth["l_forearm"])


def test_twist_goes_on_past_180_degrees() -> None:
    """Nobody's wrist does that, but a capture may: the bones between must not jump to the other side."""
    built = build("ue5")
    far = np.radians(np.linspace(-100, 260, 21))
    result = still(built, l_hand=about_x(far))
    for leaf in built.truth["l_forearm_twist"]:
        steps = np.diff(np.unwrap(np.radians(twisted(result, built.rig, leaf))))
        assert np.degrees(steps).max() < 18 and steps.min() > 0


def rolled_hands(built: Built, degrees: float) -> Built:
    """The rig with its hands turned about the forearm at rest, thumbs up."""
    rig = built.rig
    heads, tails = rig.heads.copy(), rig.tails.copy()
    for side in "lr":
        hand = rig.index(built.truth[f"{side}_hand"][0])
        below = [i for i in range(len(rig.names)) if i == hand or hand in rig.ancestors(i)]
        turn = about(-X, np.radians(degrees))
        for points in (heads, tails):
            points[below] = rig.heads[hand] + rotate(turn, points[below] - rig.heads[hand])
    return Built(from_points(list(rig.names), list(rig.parents), heads, tails), built.truth)


def knuckles(result: Retargeted, built: Built, side: str) -> tuple[Array, Array]:
    """(N, 3) directions of the posed hand and across it."""
    wrist, index, little = (
        result.pose.head(built.rig.index(built.truth[f"{side}_{s}"][0])) for s in ("hand", "index", "little")
    )
    return unit((index + little) / 2 - wrist), unit(index - little)


@pytest.mark.parametrize("degrees", [0.0, 40.0, -60.0])
@pytest.mark.parametrize("name", ["mixamo", "ue5", "mpfb_default"])
def test_palms_face_where_the_performers_do(name: str, degrees: float) -> None:
    """However the hands are turned in the rig's rest pose, and however the performer's are turned."""
    built = rolled_hands(build(name), degrees)
    rng = np.random.default_rng(0)
    count = len(ANGLES)
    hands = {f"{s}_hand": about(unit(rng.normal(size=(count, 3))), rng.uniform(0, 1.4, count)) for s in "lr"}
    # The performer has the plain rig's proportions: palms down in its T-pose.
    joints = performer(build(name).rig, build(name).truth)
    turns = {b["name"]: np.tile([1.0, 0, 0, 0], (count, 1)) for b in body()["bones"]} | hands
    take = make_motion(joints, turns, np.tile(joints["pelvis"], (count, 1)))
    result = retarget(
        read_motion(take, take.people[0]),
        built.rig,
        Mapping(built.truth, {}, "file"),
        RetargetSettings(foot_lock=False),
    )
    for side in "lr":
        along, across = knuckles(result, built, side)
        wrist, index, little = (joints[f"{side}_{n}"] for n in ("wrist", "index", "little"))
        q = hands[f"{side}_hand"]
        for got, wanted in ((along, (index + little) / 2 - wrist), (across, index - little)):
            off = np.degrees(np.arccos(np.clip((got * rotate(q, unit(wanted))).sum(1), -1, 1)))
            assert off.max() < 0.5


def test_a_rig_without_fingers_has_its_palms_down_in_the_t_pose() -> None:
    """Nothing tells how its hand is turned: it is taken to go straight on from the forearm."""
    whole = build("mixamo")
    bare = drop(whole, *(f"{s}_{f}" for s in "lr" for f in FINGERS))
    result = still(bare, l_hand=about_x(ANGLES))
    got = result.pose.turn(bare.rig.index(bare.truth["l_hand"][0]))
    assert np.allclose(np.degrees(twist_angle(got, X)), np.degrees(ANGLES), atol=0.1)


@pytest.mark.parametrize("roll", [0.0, 1.0, -2.5])
def test_local_keys_take_the_bones_roll_into_account(roll: float) -> None:
    """The same pose whatever the rolls; the keys differ."""
    built = build("mixamo")
    rig = built.rig
    other = from_points(
        list(rig.names), list(rig.parents), rig.heads, rig.tails, "rolled", np.full(len(rig.names), roll)
    )
    one, two = still(built, l_hand=about_x(ANGLES)), still(Built(other, built.truth), l_hand=about_x(ANGLES))
    hand = built.truth["l_hand"][0]
    keys = [next(k.rotation for k in r.bones if k.bone == hand) for r in (one, two)]
    assert keys[0] is not None and keys[1] is not None
    rests = [from_matrix(r.rest[r.index(hand), :3, :3]) for r in (rig, other)]
    turns = [multiply(multiply(q, k), inverse(q)) for q, k in zip(rests, keys, strict=True)]
    assert np.allclose(np.abs((turns[0] * turns[1]).sum(1)), 1, atol=1e-9)
