from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from lifter.skeleton import Skeleton, load_skeleton  # noqa: E402
from training.bodies import pose_people, random_bodies  # noqa: E402
from training.crouch import bend, crouch  # noqa: E402


def standing(body: Skeleton, frames: int = 4):
    return torch.eye(3).expand(1, frames, len(body.bones), 3, 3).clone()


def joints_of(body: Skeleton, turns, moved):
    offsets = torch.from_numpy(body.rest_offsets).float()[None]
    return pose_people(body, turns, offsets)[0] + moved[0][:, None]


def amounts(frames: int, *values: float):
    return [torch.full((1, frames), v) for v in values]


def test_the_pelvis_comes_down_and_the_feet_stay(body: Skeleton) -> None:
    turns = standing(body)
    bent, moved = bend(body, turns, *amounts(4, 0.3, 0.4, 0.1), 0.35)
    before, after = joints_of(body, turns, torch.zeros(1, 4, 3)), joints_of(body, bent, moved)
    feet = [body.joint(s + n) for s in ("l_", "r_") for n in ("ankle", "heel", "toe")]
    leg = before[0, body.joint("l_hip"), 2] - before[0, body.joint("l_ankle"), 2]
    assert torch.allclose(after[:, feet], before[:, feet], atol=1e-3)
    assert torch.allclose(moved[..., 2], -0.3 * leg, atol=2e-3)
    # People face -Y: knees come forward, the head goes before the pelvis, which goes back.
    knee, head = body.joint("l_knee"), body.joint("head")
    assert after[0, knee, 1] < before[0, knee, 1] - 0.1
    assert after[0, head, 1] < before[0, head, 1] - 0.1 < after[0, 0, 1]
    assert moved[0, 0, 1] == pytest.approx(0.1 * float(leg), rel=0.05)


def test_backs_are_bent_or_kept_straight(body: Skeleton) -> None:
    names = [b.name for b in body.bones]
    for share in (0.2, 0.9):
        bent, moved = bend(body, standing(body), *amounts(4, 0.3, 0.5, 0.1), share)
        leans = {
            n: float(torch.atan2(-bent[0, 0, names.index(n)][1, 2], bent[0, 0, names.index(n)][2, 2])) for n in names
        }
        assert leans["pelvis"] == pytest.approx(0.5 * share, abs=1e-4)
        assert leans["pelvis"] < leans["spine"] < leans["chest"] == pytest.approx(0.5, abs=1e-4)
        before, after = (joints_of(body, *x) for x in ((standing(body), torch.zeros(1, 4, 3)), (bent, moved)))
        feet = [body.joint(s + n) for s in ("l_", "r_") for n in ("ankle", "heel", "toe")]
        assert torch.allclose(after[:, feet], before[:, feet], atol=1e-3)


def test_bones_keep_their_lengths_and_sides_agree(body: Skeleton) -> None:
    bent, moved = bend(body, standing(body), *amounts(4, 0.45, 0.2, 0.0), 0.35)
    after = joints_of(body, bent, moved)
    flipped = after[:, body.mirror.tolist()] * torch.tensor([-1.0, 1.0, 1.0])
    assert torch.allclose(flipped, after, atol=1e-4)
    assert torch.allclose(bent @ bent.transpose(-1, -2), torch.eye(3), atol=1e-4)


def test_hips_stay_above_the_heels_and_who_lies_stays_as_he_is(body: Skeleton) -> None:
    bent, moved = bend(body, standing(body), *amounts(4, 2.0, 0.0, 0.0), 0.35)
    after = joints_of(body, bent, moved)
    assert (after[:, body.joint("l_hip"), 2] > after[:, body.joint("l_ankle"), 2] + 0.2).all()
    lying = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]) @ standing(body)
    same, unmoved = bend(body, lying, *amounts(4, 0.4, 0.4, 0.1), 0.35)
    assert torch.equal(same, lying) and not unmoved.any()


def test_nothing_is_bent_by_nothing_and_a_turned_body_is_bent_the_same(body: Skeleton) -> None:
    g = torch.Generator().manual_seed(0)
    turns = standing(body, 8)
    same, unmoved = bend(body, turns, *amounts(8, 0.0, 0.0, 0.0), 0.35)
    assert torch.equal(same, turns) and not unmoved.any()
    quarter = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    bent, moved = crouch(body, turns, torch.Generator().manual_seed(3), 1.0)
    turned, moved_too = crouch(body, quarter @ turns, torch.Generator().manual_seed(3), 1.0)
    assert torch.allclose(turned, quarter @ bent, atol=1e-4)
    assert torch.allclose(moved_too, moved @ quarter.T, atol=1e-4)
    assert moved.any() and not crouch(body, turns, g, 0.0)[1].any()


def test_a_share_of_the_clips_is_bent_and_others_stay(body: Skeleton) -> None:
    turns = standing(body).expand(400, -1, -1, -1, -1)
    bent, moved = crouch(body, turns, torch.Generator().manual_seed(1), 0.25)
    chosen = moved.abs().amax((1, 2)) > 0
    assert 70 < int(chosen.sum()) < 130
    assert torch.equal(bent[~chosen], turns[~chosen])


def test_a_skeleton_without_legs_is_left_alone() -> None:
    hand = load_skeleton("hand21")
    turns = torch.eye(3).expand(2, 3, max(1, len(hand.bones)), 3, 3)
    bent, moved = crouch(hand, turns, torch.Generator(), 1.0)
    assert torch.equal(bent, turns) and not moved.any()


def test_bodies_say_how_far_the_root_moves(body: Skeleton) -> None:
    g = torch.Generator().manual_seed(0)
    pose = torch.tensor([1.0, 0, 0, 0]).expand(16, 5, len(body.bones), 4)
    joints, turns, moved, _ = random_bodies(body, pose, torch.ones(16, 5, 4), g, 0.0, bent=1.0)
    ankle = body.joint("l_ankle")
    assert turns is not None and moved[..., 2].min() < -0.1
    height = (joints[:, :, ankle] + moved)[..., 2]
    assert torch.allclose(height, height.new_full((), float(body.rest[ankle, 2] - body.rest[0, 2])), atol=2e-3)
