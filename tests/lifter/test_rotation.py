from __future__ import annotations

import numpy as np

from lifter.rotation import continuous, matrix_to_quat, normalize, quat_to_matrix, shortest_arc


def random_quaternions(n: int) -> np.ndarray:
    return normalize(np.random.default_rng(0).normal(size=(n, 4)))


def test_round_trip() -> None:
    q = random_quaternions(500)
    again = matrix_to_quat(quat_to_matrix(q))
    assert np.allclose(np.abs((q * again).sum(-1)), 1)


def test_half_turns_survive() -> None:
    for axis in np.eye(3):
        q = np.concatenate([[0.0], axis])
        assert np.allclose(np.abs(matrix_to_quat(quat_to_matrix(q))), np.abs(q))


def test_shortest_arc_turns_a_onto_b() -> None:
    rng = np.random.default_rng(1)
    a, b = normalize(rng.normal(size=(100, 3))), normalize(rng.normal(size=(100, 3)))
    r = shortest_arc(a, b)
    assert np.allclose(np.einsum("nij,nj->ni", r, a), b)
    assert np.allclose(np.einsum("nij,nkj->nik", r, r), np.eye(3))


def test_shortest_arc_of_equal_and_opposite_directions() -> None:
    assert np.allclose(shortest_arc(np.array([0, 0, 2.0]), np.array([0, 0, 1.0])), np.eye(3))
    for a in np.eye(3):
        r = shortest_arc(a, -a)
        assert np.allclose(r @ a, -a) and np.isclose(np.linalg.det(r), 1)


def test_signs_become_continuous() -> None:
    angle = np.linspace(0, 4 * np.pi, 200)
    q = np.stack([np.cos(angle / 2), np.sin(angle / 2), 0 * angle, 0 * angle], -1)
    broken = q * np.where(np.arange(200) % 3 == 0, -1, 1)[:, None]
    again = continuous(broken)
    assert ((again[1:] * again[:-1]).sum(-1) > 0).all()


def test_quaternions_are_those_of_scipy() -> None:
    from scipy.spatial.transform import Rotation

    m = quat_to_matrix(random_quaternions(300))
    theirs = Rotation.from_matrix(m).as_quat()[:, [3, 0, 1, 2]]
    assert np.allclose(np.abs((matrix_to_quat(m) * theirs).sum(-1)), 1)
    assert matrix_to_quat(m.reshape(30, 10, 3, 3)).shape == (30, 10, 4)
