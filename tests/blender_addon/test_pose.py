from __future__ import annotations

import numpy as np

from blender_addon.pose import last_before_gap, matrix_quaternions, quaternion_matrices


def random_quaternions(n: int) -> np.ndarray:
    q = np.random.default_rng(0).normal(size=(n, 4))
    return q / np.linalg.norm(q, axis=-1, keepdims=True)


def test_round_trip() -> None:
    m = quaternion_matrices(random_quaternions(300)[:, None])
    assert np.allclose(m @ m.swapaxes(-1, -2), np.eye(3))
    assert np.allclose(quaternion_matrices(matrix_quaternions(m)), m)


def test_signs_do_not_jump() -> None:
    angle = np.linspace(0, 20, 400)
    q = np.stack([np.cos(angle / 2), np.sin(angle / 2), 0 * angle, 0 * angle], -1)[:, None]
    out = matrix_quaternions(quaternion_matrices(q))
    assert ((out[1:] * out[:-1]).sum(-1) > 0.9).all()


def test_half_turns() -> None:
    q = np.array([[[0, 1.0, 0, 0]], [[0, 0, 1.0, 0]], [[0, 0, 0, 1.0]]])
    assert np.allclose(quaternion_matrices(matrix_quaternions(quaternion_matrices(q))), quaternion_matrices(q))


def test_the_pose_before_a_gap_is_held() -> None:
    assert last_before_gap(np.array([3, 4, 5, 9, 10])).tolist() == [False, False, True, False, False]
