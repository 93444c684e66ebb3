from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lifter.rotation import quat_to_matrix  # noqa: E402
from lifter.skeleton import Skeleton, load_skeleton  # noqa: E402
from training.bodies import mirror_motion, mix_bodies, pose_people, random_people, resize_people, swing_limbs  # noqa: E402
from training.rotation import quaternions_to_matrices, rotation_vectors_to_matrices  # noqa: E402


def test_people_differ_but_are_of_one_height_and_symmetric(body: Skeleton) -> None:
    offsets = random_people(body, 50, torch.Generator().manual_seed(0))
    identity = torch.eye(3).expand(50, 1, len(body.bones), 3, 3)
    joints = pose_people(body, identity, offsets)[:, 0]
    height = joints[:, body.joint("head_top"), 2] - joints[:, body.joint("l_toe"), 2]
    assert height.std() < 1e-5 and height.mean() == pytest.approx(1.7 - 0.018, abs=1e-5)
    assert offsets.std(0)[body.joint("l_knee")].norm() > 0.005
    assert torch.allclose(joints[:, body.mirror.tolist()] * torch.tensor([-1.0, 1, 1]), joints, atol=1e-6)


ANSUR_II = {
    "thigh": 4.9, "shin": 3.9, "leg": 3.4, "upper arm": 3.9, "forearm": 4.6, "arm": 3.8, "shoulders": 5.0, "hips": 9.2,
    "foot": 4.0, "trunk": 4.0, "head": 5.7,
}  # fmt: skip
"""Standard deviation of a length over the stature in % of its mean, of the first 62 men and 62 women of the survey's
public tables: trochanterion, lateral epicondyle and malleolus heights; acromion to radiale, radiale to stylion;
biacromial and bicristal breadths; ball of foot length; cervicale less trochanterion height, stature less cervicale."""


def test_people_vary_as_people_do(body: Skeleton) -> None:
    offsets = random_people(body, 5000, torch.Generator().manual_seed(0))
    identity = torch.eye(3).expand(len(offsets), 1, len(body.bones), 3, 3)
    places = pose_people(body, identity, offsets)[:, 0]

    def apart(a: str, b: str) -> torch.Tensor:
        return (places[:, body.joint(a)] - places[:, body.joint(b)]).norm(dim=-1)

    middle = (places[:, body.joint("l_hip")] + places[:, body.joint("r_hip")]) / 2
    lengths = {
        "thigh": apart("l_hip", "l_knee"),
        "shin": apart("l_knee", "l_ankle"),
        "upper arm": apart("l_shoulder", "l_elbow"),
        "forearm": apart("l_elbow", "l_wrist"),
        "shoulders": apart("l_shoulder", "r_shoulder"),
        "hips": apart("l_hip", "r_hip"),
        "foot": apart("l_heel", "l_toe"),
        "trunk": (places[:, body.joint("neck")] - middle).norm(dim=-1),
        "head": apart("neck", "head_top"),
    }
    lengths |= {"leg": lengths["thigh"] + lengths["shin"], "arm": lengths["upper arm"] + lengths["forearm"]}
    varied = {k: 100 * float(x.std() / x.mean()) for k, x in lengths.items()}
    assert varied == pytest.approx(ANSUR_II, rel=0.15)

    def go_together(a: str, b: str) -> float:
        return float(torch.corrcoef(torch.stack([lengths[a], lengths[b]]).log())[0, 1])

    # The survey's: 0.58, 0.70, -0.87 and -0.54; with 124 people within 0.2 (2 sigma).
    assert go_together("upper arm", "forearm") == pytest.approx(0.58, abs=0.2)
    assert go_together("leg", "arm") == pytest.approx(0.70, abs=0.25)
    assert go_together("trunk", "leg") == pytest.approx(-0.87, abs=0.2)
    assert go_together("trunk", "arm") == pytest.approx(-0.54, abs=0.2)


def test_no_spread_is_the_skeleton_itself(body: Skeleton) -> None:
    offsets = random_people(body, 3, torch.Generator().manual_seed(0), 0.0)
    assert np.allclose(offsets, body.rest_offsets[None], atol=1e-6)


def test_mirroring_twice_is_nothing(body: Skeleton) -> None:
    g = torch.Generator().manual_seed(0)
    q = torch.nn.functional.normalize(torch.randn(2, 3, len(body.bones), 4, generator=g), dim=-1)
    root, contact = torch.randn(2, 3, 3, generator=g), torch.rand(2, 3, 4, generator=g)
    again = mirror_motion(body, *mirror_motion(body, q, root, contact))
    assert all(torch.equal(a, b) for a, b in zip(again, (q, root, contact), strict=True))


def test_quaternions_agree_with_the_lifters() -> None:
    q = torch.nn.functional.normalize(torch.randn(50, 4, dtype=torch.float64), dim=-1)
    assert np.allclose(quaternions_to_matrices(q).numpy(), quat_to_matrix(q.numpy()))


def test_a_skeleton_without_bones_gets_other_proportions_and_one_size() -> None:
    h36m = load_skeleton("h36m")
    rest = torch.tensor(h36m.rest - h36m.rest[0]).expand(40, 3, -1, -1) * 1.3
    joints = resize_people(h36m, rest, torch.Generator().manual_seed(0))
    steps = joints - joints[:, :, [max(p, 0) for p in h36m.parents]]
    length = steps.norm(dim=-1)
    total = float(np.linalg.norm(h36m.rest_offsets, axis=-1).sum())
    assert torch.allclose(length.sum(-1), torch.tensor(total), atol=1e-4)
    assert (length.std(0)[0, 1:] > 0.003).all()
    assert torch.allclose(length[..., h36m.joint("l_knee")], length[..., h36m.joint("r_knee")], atol=1e-3)
    unchanged = resize_people(h36m, rest / 1.3, torch.Generator(), 0.0)
    assert torch.allclose(unchanged, rest / 1.3, atol=1e-5)


def random_turns(body: Skeleton, clips: int) -> tuple[torch.Tensor, torch.Tensor, torch.Generator]:
    """(clips, 3, bones, 3, 3), contacts of feet that always stand, and the generator that drew them."""
    g = torch.Generator().manual_seed(0)
    turns = torch.linalg.qr(torch.randn(clips, 3, len(body.bones), 3, 3, generator=g))[0]
    return turns, torch.ones(clips, 3, 4), g


def bones_that_differ(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """(clips, bones)"""
    return ~torch.isclose(a, b, atol=1e-5).flatten(3).all(-1).all(1)


def check_contacts(known: torch.Tensor, contact: torch.Tensor, forgotten: torch.Tensor, points: slice) -> None:
    """A side's contacts are unknown in the clips whose foot is not where it was recorded, and else as they were."""
    assert forgotten.any() and not forgotten.all()
    assert known[forgotten, :, points].isnan().all()
    assert torch.equal(known[~forgotten, :, points], contact[~forgotten, :, points])


def test_mixed_bodies_keep_how_parts_hang_on_them_and_forget_contacts_of_other_legs(body: Skeleton) -> None:
    turns, contact, g = random_turns(body, 64)
    mixed, known_contact = mix_bodies(body, turns, contact, g, 0.5)
    names = [b.name for b in body.bones]
    changed = bones_that_differ(mixed, turns)
    assert not changed[:, names.index("pelvis")].any()
    assert 0.3 < changed.any(1).float().mean() < 0.6
    for side, points in (("l_", slice(0, 2)), ("r_", slice(2, 4))):
        check_contacts(known_contact, contact, changed[:, names.index(f"{side}foot")], points)
    # A part that came from another clip is turned to its carrier as it was there.
    arm, chest = names.index("l_upper_arm"), names.index("l_clavicle")
    relative = mixed[:, :, chest].mT @ mixed[:, :, arm]
    known = turns[:, :, chest].mT @ turns[:, :, arm]
    of = [torch.isclose(relative[i], known, atol=1e-4).flatten(1).all(1).any() for i in range(64)]
    assert all(of)
    same, same_contact = mix_bodies(body, turns, contact, g, 0.0)
    assert torch.equal(same, turns) and torch.equal(same_contact, contact)


def test_some_arms_reach_forward(body: Skeleton, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hanging ones, mostly both as far; not those that are held overhead or out to the side."""
    monkeypatch.setattr("training.bodies.SWING", 0.0)
    names, offsets = [b.name for b in body.bones], torch.from_numpy(body.rest_offsets).float().expand(400, -1, -1)

    def forward(angle: float) -> torch.Tensor:
        """(400, 2) how far before their shoulders wrists are once swung, arms hanging at a quarter turn down."""
        turns = torch.eye(3).repeat(400, 2, len(names), 1, 1)
        for side, sign in (("l_", 1.0), ("r_", -1.0)):
            for b in (names.index(side + n) for n in ("upper_arm", "forearm", "hand")):
                turns[:, :, b] = rotation_vectors_to_matrices(torch.tensor([0.0, sign * angle, 0.0]))
        swung, _ = swing_limbs(body, turns, torch.zeros(400, 2, 0), torch.Generator().manual_seed(0), 1.0)
        joints = pose_people(body, swung, offsets)[:, 0]
        arms = [joints[:, body.joint(s + "wrist")] - joints[:, body.joint(s + "shoulder")] for s in ("l_", "r_")]
        return -torch.stack(arms, 1)[..., 1]  # people face -Y

    hanging = forward(0.5 * math.pi)
    far = hanging > 0.3
    assert 0.1 < far.float().mean() < 0.3 and 0.5 < far.all(1).sum() / far.any(1).sum() < 0.8
    assert torch.allclose(hanging[far.all(1), 0], hanging[far.all(1), 1], atol=0.02)
    for other in (0.0, -0.5 * math.pi):
        assert forward(other).abs().max() < 0.05


def test_swung_limbs_move_as_they_did_about_joints_turned_by_a_constant(body: Skeleton) -> None:
    turns, contact, g = random_turns(body, 32)
    swung, known_contact = swing_limbs(body, turns, contact, g, 0.5)
    names = [b.name for b in body.bones]
    changed = bones_that_differ(swung, turns)
    assert not changed[:, [names.index(n) for n in ("pelvis", "chest", "head", "l_clavicle")]].any()
    for side, points in (("l_", slice(0, 2)), ("r_", slice(2, 4))):
        arm, leg = names.index(f"{side}upper_arm"), names.index(f"{side}thigh")
        assert 0.05 < changed[:, arm].float().mean() < 0.5 and 0.05 < changed[:, leg].float().mean() < 0.5
        # What hangs on a limb goes with it, and keeps its turn to it.
        shin, foot = names.index(f"{side}shin"), names.index(f"{side}foot")
        assert torch.equal(changed[:, leg], changed[:, foot])
        assert torch.allclose(
            swung[:, :, leg].mT @ swung[:, :, shin], turns[:, :, leg].mT @ turns[:, :, shin], atol=1e-5
        )
        relative = swung[:, :, names.index("pelvis")].mT @ swung[:, :, leg]
        before = turns[:, :, names.index("pelvis")].mT @ turns[:, :, leg]
        constant = relative @ before.mT
        assert torch.allclose(constant, constant[:, :1].expand_as(constant), atol=1e-4)
        check_contacts(known_contact, contact, changed[:, leg], points)
    same, same_contact = swing_limbs(body, turns, contact, g, 0.0)
    assert torch.equal(same, turns) and torch.equal(same_contact, contact)
