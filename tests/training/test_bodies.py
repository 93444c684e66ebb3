from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lifter.rotation import quat_to_matrix  # noqa: E402
from lifter.skeleton import Skeleton, load_skeleton  # noqa: E402
from training.bodies import mirror_motion, mix_bodies, pose_people, random_people, resize_people  # noqa: E402
from training.rotation import quaternions_to_matrices  # noqa: E402


def test_people_differ_but_are_of_one_height_and_symmetric(body: Skeleton) -> None:
    offsets = random_people(body, 50, torch.Generator().manual_seed(0))
    identity = torch.eye(3).expand(50, 1, len(body.bones), 3, 3)
    joints = pose_people(body, identity, offsets)[:, 0]
    height = joints[:, body.joint("head_top"), 2] - joints[:, body.joint("l_toe"), 2]
    assert height.std() < 1e-5 and height.mean() == pytest.approx(1.7 - 0.018, abs=1e-5)
    assert offsets.std(0)[body.joint("l_knee")].norm() > 0.005
    assert torch.allclose(joints[:, body.mirror.tolist()] * torch.tensor([-1.0, 1, 1]), joints, atol=1e-6)


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


def test_mixed_bodies_keep_how_parts_hang_on_them_and_forget_contacts_of_other_legs(body: Skeleton) -> None:
    g = torch.Generator().manual_seed(0)
    turns = torch.linalg.qr(torch.randn(64, 3, len(body.bones), 3, 3, generator=g))[0]
    contact = torch.ones(64, 3, 4)
    mixed, known_contact = mix_bodies(body, turns, contact, g, 0.5)
    names = [b.name for b in body.bones]
    changed = ~torch.isclose(mixed, turns, atol=1e-5).flatten(3).all(-1).all(1)
    assert not changed[:, names.index("pelvis")].any()
    assert 0.3 < changed.any(1).float().mean() < 0.6
    for side, points in (("l_", slice(0, 2)), ("r_", slice(2, 4))):
        of_another = changed[:, names.index(f"{side}foot")]
        assert of_another.any() and not of_another.all()
        assert known_contact[of_another, :, points].isnan().all()
        assert torch.equal(known_contact[~of_another, :, points], contact[~of_another, :, points])
    # A part that came from another clip is turned to its carrier as it was there.
    arm, chest = names.index("l_upper_arm"), names.index("l_clavicle")
    relative = mixed[:, :, chest].mT @ mixed[:, :, arm]
    known = turns[:, :, chest].mT @ turns[:, :, arm]
    of = [torch.isclose(relative[i], known, atol=1e-4).flatten(1).all(1).any() for i in range(64)]
    assert all(of)
    same, same_contact = mix_bodies(body, turns, contact, g, 0.0)
    assert torch.equal(same, turns) and torch.equal(same_contact, contact)
