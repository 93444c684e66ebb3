"""What control rigs need of mathematics, without Blender."""

from __future__ import annotations

import numpy as np
import pytest

from blender_addon.retarget.controls import (
    Between,
    Pole,
    angles_between,
    learn_between,
    learn_rigid,
    levels,
    limb_ways,
    pole_matrices,
    spread_frames,
    swings,
    twist_matrices,
)
from blender_addon.retarget.rig import Array, RigError, make_rig
from blender_addon.retarget.rotations import about, from_matrix, multiply, slerp, to_matrix, unit


def matrices(seed: int, count: int = 12, angle: float = 1.5) -> Array:
    rng = np.random.default_rng(seed)
    out = np.tile(np.eye(4), (count, 1, 1))
    out[:, :3, :3] = to_matrix(about(unit(rng.normal(size=(count, 3))), rng.uniform(0, angle, count)))
    out[:, :3, 3] = rng.normal(size=(count, 3))
    return out


def test_limb_ways() -> None:
    assert set(limb_ways("fk").values()) == {"fk"}
    assert limb_ways("arms=fk,legs=ik") == {"l_arm": "fk", "r_arm": "fk", "l_leg": "ik", "r_leg": "ik"}
    assert limb_ways("IK, l_arm = fk")["l_arm"] == "fk" and limb_ways("IK, l_arm = fk")["r_arm"] == "ik"
    for bad in ("", "both", "arms", "hands=ik", "arms=fk,legs", "arms=ikk"):
        with pytest.raises(RigError, match="does not say"):
            limb_ways(bad)


def test_what_hangs_on_two_things_is_found() -> None:
    """It turns with one and moves with another, at fixed offsets."""
    a, b, c = matrices(1), matrices(2), matrices(3)
    turn, offset = to_matrix(about(unit(np.array([1.0, 2, 3])), 0.7)), np.array([0.1, -0.2, 0.3])
    x = a.copy()
    x[:, :3, :3] = a[:, :3, :3] @ turn
    x[:, :3, 3] = b[:, :3, 3] + (b[:, :3, :3] @ offset)
    model = learn_rigid(x, {"a": a, "b": b, "c": c}, 1e-4)
    assert model is not None and (model.turns_with, model.moves_with) == ("a", "b")
    new = {"a": matrices(4), "b": matrices(5)}
    got = model.matrices(new.__getitem__)
    assert np.allclose(got[:, :3, :3], new["a"][:, :3, :3] @ turn, atol=1e-6)
    assert np.allclose(got[:, :3, 3], new["b"][:, :3, 3] + new["b"][:, :3, :3] @ offset, atol=1e-6)
    assert learn_rigid(matrices(6), {"a": a, "b": b, "c": c}, 1e-4) is None


def test_what_lies_between_is_found() -> None:
    a, b = matrices(1, 16, 0.8), matrices(2, 16, 0.8)
    x = a.copy()
    x[:, :3, :3] = to_matrix(slerp(from_matrix(a[:, :3, :3]), from_matrix(b[:, :3, :3]), 0.3))
    x[:, :3, 3] = 0.4 * a[:, :3, 3] + 0.6 * b[:, :3, 3]
    model = learn_between(x, {"a": a, "b": b, "c": matrices(3, 16)}, 1e-4)
    assert isinstance(model, Between) and {model.first, model.second} == {"a", "b"}
    got = model.matrices({"a": a, "b": b}.__getitem__)
    assert np.degrees(angles_between(got[:, :3, :3], x[:, :3, :3]).max()) < 0.01
    assert np.abs(got[:, :3, 3] - x[:, :3, 3]).max() < 1e-6
    assert learn_between(matrices(9, 16), {"a": a, "b": b}, 1e-4) is None


def test_rigid_is_not_taken_for_what_it_is_not_in_few_frames() -> None:
    """With fewer frames than unknowns everything would lie between everything."""
    assert learn_between(matrices(1, 4), {"a": matrices(2, 4), "b": matrices(3, 4)}, 1e-4) is None


def test_levels_follow_what_controls_hang_on() -> None:
    needs = {"hand": {"helper"}, "helper": {"arm"}, "arm": {"torso"}, "torso": set[str](), "head": {"torso"}}
    assert levels(["hand", "arm", "head", "torso"], needs) == [["torso"], ["arm", "head"], ["hand"]]
    assert len(levels(["a", "b"], {"a": {"b"}, "b": {"a"}})) >= 1  # Blender breaks circles too


def test_frames_that_differ_most_are_chosen() -> None:
    features = np.repeat(np.array([[0.0], [0.1], [5.0], [9.0]]), 5, 0)
    assert set(features[spread_frames(features, 3)][:, 0]) == {0.0, 5.0, 9.0}
    assert len(spread_frames(np.zeros((7, 3)), 4)) == 1


def test_a_stretched_bone_is_twisted_as_wanted() -> None:
    x, wanted = matrices(1, 20), matrices(2, 20)
    tweak = twist_matrices(x, wanted, False)
    # Stretching swings Y on to the bone by the shortest way: what is left is the wanted rotation.
    stretched = swings(tweak[:, :3, 1], wanted[:, :3, 1]) @ tweak[:, :3, :3]
    assert np.degrees(angles_between(stretched, wanted[:, :3, :3]).max()) < 1e-4
    assert np.array_equal(tweak[:, :3, 3], x[:, :3, 3])


def test_poles_never_jump_where_a_limb_is_straight() -> None:
    """A knee that is bent, straightens and bends again, while the whole leg turns."""
    y_down = to_matrix(about(np.array([1.0, 0, 0]), -np.pi / 2))
    rest = np.tile(np.eye(4), (3, 1, 1))
    rest[:, :3, :3] = y_down
    slight = np.radians(4)
    rest[1, :3, :3] = to_matrix(about(np.array([1.0, 0, 0]), slight)) @ y_down
    rest[0, :3, 3], rest[1, :3, 3] = (0, 0, 1.0), (0, 0, 0.5)
    rest[2, :3, 3] = rest[1, :3, 3] + 0.5 * rest[1, :3, 1]
    body = make_rig(["thigh", "shin", "foot"], [-1, 0, 1], rest, np.array([0.5, 0.5, 0.2]))
    t = np.linspace(0, 2 * np.pi, 400)
    across, upright = np.tile([1.0, 0, 0], (400, 1)), np.tile([0, 0, 1.0], (400, 1))
    turn = multiply(about(upright, 0.4 * np.sin(t)), about(across, t / 9))
    bend = np.radians(60) * np.sin(t) ** 2 - slight  # quite straight three times
    wanted = np.tile(np.eye(4), (400, 3, 1, 1))
    upper = to_matrix(turn)
    lower = to_matrix(multiply(turn, about(across, bend)))
    wanted[:, 0, :3, :3], wanted[:, 1, :3, :3] = upper @ rest[0, :3, :3], lower @ rest[1, :3, :3]
    wanted[:, 0, :3, 3] = rest[0, :3, 3]
    wanted[:, 1, :3, 3] = rest[0, :3, 3] + 0.5 * wanted[:, 0, :3, 1]
    wanted[:, 2, :3, 3] = wanted[:, 1, :3, 3] + 0.5 * wanted[:, 1, :3, 1]
    got = pole_matrices(Pole("pole", "shin", "thigh", "shin", "foot"), body, wanted, np.eye(4), -np.pi / 2)[:, :3, 3]
    steps = np.linalg.norm(np.diff(got, axis=0), axis=1)
    assert steps.max() < 0.05
    # The pole lies on the side to which the knee goes.
    middle = (wanted[:, 0, :3, 3] + wanted[:, 2, :3, 3]) / 2
    clear = bend + slight > np.radians(15)
    out = wanted[:, 1, :3, 3] - middle
    assert ((out * (got - middle)).sum(-1)[clear] > 0).all()
