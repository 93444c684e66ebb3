"""Metrics of published protocols on files of the datasets' structure, against errors that are known in closed form."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lifter.errors import MotionliftError  # noqa: E402
from lifter.metrics import area_under_curve, procrustes, scaled, share_within, velocity_error  # noqa: E402
from lifter.rotation import quat_to_matrix  # noqa: E402
from lifter.skeleton import load_skeleton  # noqa: E402
from tests.training.archives import write_3dhp, write_h36m, write_humaneva, write_motionbert  # noqa: E402
from training.data.human36m import Human36mSource  # noqa: E402
from training.data.humaneva import HumanEvaSource  # noqa: E402
from training.data.motionbert import MotionBertSource  # noqa: E402
from training.data.mpi_inf_3dhp import MpiInf3dhpSource  # noqa: E402
from training.data.prepare import Corpus, prepare  # noqa: E402
from training.data.store import Store  # noqa: E402
from training.protocols.h36m import evaluate_mb, evaluate_vp  # noqa: E402
from training.protocols.humaneva import evaluate_humaneva  # noqa: E402
from training.protocols.mpi_inf_3dhp import evaluate_3dhp  # noqa: E402
from training.protocols.screen import both_sides, in_windows, rooted, seen, to_screen  # noqa: E402
from training.protocols.table import Table, as_json  # noqa: E402

H36M = load_skeleton("h36m")
TURN = quat_to_matrix(np.array([0.6, 0.0, 0.8, 0.0]))
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def vp(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("vp")
    write_h36m(folder / "files")
    return prepare(Corpus((Human36mSource("h36m", "files"),), "h36m"), folder, folder / "store")


@pytest.fixture(scope="module")
def mb(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("mb")
    write_motionbert(folder / "file.pkl")
    return prepare(Corpus((MotionBertSource("h36m_motionbert", "file.pkl"),), "h36m"), folder, folder / "store")


@pytest.fixture(scope="module")
def hp(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("3dhp")
    write_3dhp(folder / "files")
    return prepare(Corpus((MpiInf3dhpSource("mpi_inf_3dhp", "files"),), "h36m"), folder, folder / "store")


def oracle(store: Store, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """Knows what stands behind the 2D of each test recording, and says it changed."""
    known = {}
    for i in store.select("joints", "keypoints", split="test").tolist():
        known[seen(store, i).tobytes()] = rooted(store.read(i, ("joints",))["joints"])
    return lambda x: change(known[x.tobytes()])


BUT_ROOT = (np.arange(17) > 0)[:, None] * np.array([17 / 16, 0, 0])
"""Moving all joints but the root by this is an error of 1, the root's zero included."""


def mean(table: Table, name: str = "mean of actions") -> dict[str, float]:
    return dict(table.rows[name])


def test_vp_errors_in_closed_form(vp: Store) -> None:
    exact = mean(evaluate_vp(oracle(vp, lambda t: t), vp, "CPN"))
    assert all(exact[k] == pytest.approx(0, abs=1e-3) for k in ("P1", "P2", "N-MPJPE", "MPJVE"))
    turned = mean(evaluate_vp(oracle(vp, lambda t: 1.7 * t @ TURN.T), vp, "CPN"))
    assert turned["P2"] == pytest.approx(0, abs=1e-3) and turned["P1"] > 100
    larger = mean(evaluate_vp(oracle(vp, lambda t: 1.3 * t), vp, "CPN"))
    assert larger["N-MPJPE"] == pytest.approx(0, abs=1e-3) and larger["P1"] > 30

    def one_joint_off(t: np.ndarray) -> np.ndarray:
        out = t.copy()
        out[:, 5] += [0.0, 0.017, 0.0]
        return out

    assert mean(evaluate_vp(oracle(vp, one_joint_off), vp, "CPN"))["P1"] == pytest.approx(1.0, abs=1e-3)  # of 17

    def drifting(t: np.ndarray) -> np.ndarray:
        return t + np.arange(len(t))[:, None, None] * [0.002, 0, 0] * (np.arange(17) > 0)[:, None]

    drift = mean(evaluate_vp(oracle(vp, drifting), vp, "CPN"))
    assert drift["MPJVE"] == pytest.approx(2 * 16 / 17, abs=1e-3)


def test_vp_counts_every_frame_and_weighs_actions_alike(vp: Store) -> None:
    def by_action(t: np.ndarray) -> np.ndarray:
        return t

    table = evaluate_vp(oracle(vp, by_action), vp, "CPN")
    # One test subject, 2 actions of 40 frames, 4 cameras; "Photo 1" is an action "Photo".
    assert set(table.rows) == {"Directions", "Photo", "mean of actions"}
    assert table.rows["Photo"]["frames"] == 160 and mean(table)["frames"] == 320
    assert "VP" in table.protocol and "CPN" in table.protocol


def test_a_mean_of_actions_is_not_a_mean_of_frames(tmp_path: Path) -> None:
    from training.data.recording import Recording
    from training.data.store import StoreWriter

    writer = StoreWriter(tmp_path / "s", H36M, {})
    joints = {n: RNG.normal(size=(n, 17, 3)) for n in (10, 30)}
    for action, n in (("Eating", 10), ("Posing 1", 30), ("Posing", 10)):
        arrays = {"joints": joints[n], "keypoints": RNG.random((n, 17, 2)), "image_size": (1000, 1002)}
        writer.add(action, [Recording(action, "x", "S9", 50.0, arrays, action, "c", "test")])
    store = writer.finish()

    def off(t: np.ndarray) -> np.ndarray:
        return t + {10: 0.010, 30: 0.050}[len(t)] * BUT_ROOT

    rows = evaluate_vp(oracle(store, off), store, "GT").rows
    assert rows["Eating"]["P1"] == pytest.approx(10, abs=1e-3)
    assert rows["Posing"]["P1"] == pytest.approx((30 * 50 + 10 * 10) / 40, abs=1e-3)
    assert rows["mean of actions"]["P1"] == pytest.approx((10 + 40) / 2, abs=1e-3)


def image_oracle(store: Store, factor: float) -> Callable[[np.ndarray], np.ndarray]:
    """What MotionBERT's network should say, on the scale of its input, times a factor."""
    known = {}
    for i in store.select("image_joints_mm", split="test").tolist():
        r = store.read(i, ("image_joints_mm", "mm_per_px", "image_size"))
        known[seen(store, i).tobytes()] = (
            r["image_joints_mm"] / r["mm_per_px"][:, None, None] / float(r["image_size"][0]) * 2
        )
    return lambda x: factor * known[x.tobytes()]


def test_mb_with_and_without_the_true_scale(mb: Store) -> None:
    true, honest = evaluate_mb(image_oracle(mb, 1.0), mb)
    assert mean(true)["P1"] == pytest.approx(0, abs=0.01)
    # Three videos, one of them blocked; the one shorter than a window is not.
    assert set(true.rows) == {"action 02", "action 16", "mean of actions"} and mean(true)["frames"] == 170
    assert mean(honest)["P1"] > 10 and mean(honest)["P2"] == pytest.approx(0, abs=0.01)
    again = evaluate_mb(image_oracle(mb, 1.5), mb)
    # A network that says everything larger is worse with the true scale, and as good without it.
    assert mean(again[0])["P1"] > 10
    assert mean(again[1])["P1"] == pytest.approx(mean(honest)["P1"], rel=1e-4)
    assert true.protocol != honest.protocol and "true factor" in true.how


def test_3dhp_counts_149_99_and_not_150_00(hp: Store) -> None:
    counted = H36M.joint("l_knee")

    def off(by: float) -> Callable[[np.ndarray], np.ndarray]:
        def change(t: np.ndarray) -> np.ndarray:
            out = t.copy()
            out[:, counted, 0] += by
            return out

        return change

    near, far = (evaluate_3dhp(oracle(hp, off(d)), hp) for d in (0.14999, 0.15))
    for name in ("TS1", "TS5", "weighted by valid frames", "plain mean of sequences"):
        assert near.rows[name]["PCK"] == pytest.approx(100)
        assert far.rows[name]["PCK"] == pytest.approx(100 * 13 / 14)
        assert far.rows[name]["MPJPE"] == pytest.approx(150 / 17, abs=1e-3)
        # Exact joints count from 5 mm on, 30 of 31 limits; the moved one for none.
        assert far.rows[name]["AUC"] == pytest.approx(100 * 30 / 31 * 13 / 14)
        assert near.rows[name]["AUC"] == pytest.approx(100 * (30 * 13 + 1) / 31 / 14)


def test_3dhp_leaves_out_three_joints_and_frames_that_are_not_valid(hp: Store) -> None:
    free = [H36M.joint(n) for n in ("pelvis", "h36m_spine", "h36m_nose")]

    def change(t: np.ndarray) -> np.ndarray:
        out = t.copy()
        out[:, free[1:]] += 1.0
        return out

    assert evaluate_3dhp(oracle(hp, change), hp).rows["TS1"]["PCK"] == pytest.approx(100)
    valid = {hp.names[i].split("/")[-1]: hp.read(i, ("valid",))["valid"] > 0 for i in hp.select("valid")}

    def wrong_where_not_valid(t: np.ndarray) -> np.ndarray:
        mask = next(v for k, v in valid.items() if np.array_equal(t, rooted(hp.read(number[k], ("joints",))["joints"])))
        return t + 1.0 * ~mask[:, None, None] * (np.arange(17) > 0)[:, None]

    number = {hp.names[i].split("/")[-1]: int(i) for i in hp.select("valid")}
    table = evaluate_3dhp(oracle(hp, wrong_where_not_valid), hp)
    assert table.rows["plain mean of sequences"]["MPJPE"] == pytest.approx(0, abs=1e-3)
    assert table.rows["TS1"]["valid frames"] == valid["TS1"].sum()


def test_3dhp_states_its_weighting_and_what_was_trained_on(hp: Store) -> None:
    errors = {}

    def change(t: np.ndarray) -> np.ndarray:
        errors[len(errors)] = 0.01 * (1 + len(errors))
        return t + errors[len(errors) - 1] * BUT_ROOT

    table = evaluate_3dhp(oracle(hp, change), hp, cross_dataset=True)
    a, b = table.rows["TS1"], table.rows["TS5"]
    assert {round(a["MPJPE"], 3), round(b["MPJPE"], 3)} == {10, 20}
    n, m = a["valid frames"], b["valid frames"]
    both = (n * a["MPJPE"] + m * b["MPJPE"]) / (n + m)
    assert table.rows["weighted by valid frames"]["MPJPE"] == pytest.approx(both)
    assert table.rows["plain mean of sequences"]["MPJPE"] == pytest.approx(15, abs=1e-3)
    assert (
        "cross-dataset" in table.protocol and "cross-dataset" not in evaluate_3dhp(oracle(hp, lambda t: t), hp).protocol
    )


def test_humaneva_by_action_and_subject(tmp_path: Path) -> None:
    write_humaneva(tmp_path / "files")
    store = prepare(Corpus((HumanEvaSource("humaneva", "files"),), "humaneva15"), tmp_path, tmp_path / "store")
    table = evaluate_humaneva(oracle(store, lambda t: 2 * t @ TURN.T), store, "GT")
    assert set(table.rows) == {"Walking S1", "Walking S2", "Walking S3", "mean of rows"}
    assert table.rows["mean of rows"]["P2"] == pytest.approx(0, abs=1e-3) and table.rows["Walking S1"]["P1"] > 100
    assert table.rows["Walking S2"]["frames"] == 60  # 20 of each of three cameras


def test_every_number_says_its_protocol(vp: Store) -> None:
    table = evaluate_vp(oracle(vp, lambda t: t), vp, "CPN")
    data = json.loads(as_json([table]))
    assert all(f["protocol"] == table.protocol for row in data[0]["rows"].values() for f in row.values())
    text = table.markdown()
    assert text.startswith(f"**{table.protocol}.**") and "| mean of actions |" in text


def test_stores_that_a_protocol_cannot_use(vp: Store, mb: Store) -> None:
    for protocol, store in ((evaluate_mb, vp), (evaluate_3dhp, vp)):
        with pytest.raises(MotionliftError, match="no test"):
            protocol(lambda x: x, store)
    with pytest.raises(MotionliftError, match="no test"):
        evaluate_vp(lambda x: x, mb, "CPN")


@pytest.mark.parametrize("frames", [1, 9, 10, 11, 20, 25, 486])
def test_windows_cover_every_frame_once(frames: int) -> None:
    seen = np.zeros(frames, int)

    def lift(x: np.ndarray) -> np.ndarray:
        assert len(x) <= 10
        seen[x[:, 0, 0].astype(int)] += 1
        return np.repeat(x[..., :1], 3, -1)

    x = np.tile(np.arange(frames, dtype=np.float32)[:, None, None], (1, 17, 2))
    out = in_windows(lift, 10)(x)
    assert (seen >= 1).all() and np.array_equal(out[..., 0], x[..., 0])
    assert seen.sum() <= frames + 9


def test_the_mirror_image_of_a_symmetric_network_changes_nothing() -> None:
    mirror = H36M.mirror
    weights = RNG.normal(size=(2, 3))
    weights[0, 1:] = weights[1, 0] = 0  # x to x, y to y and z: the mirror image gives the mirror image

    def lift(x: np.ndarray) -> np.ndarray:
        return (x @ weights).astype(np.float32)

    x = RNG.normal(size=(5, 17, 2)).astype(np.float32)
    assert np.allclose(both_sides(lift, H36M)(x), lift(x), atol=1e-6)
    biased = both_sides(lambda y: lift(y) + np.array([0.5, 0, 0], np.float32), H36M)(x)
    assert np.allclose(biased, lift(x), atol=1e-6)  # what it always says to the right is taken back
    assert sorted(mirror.tolist()) == list(range(17))


def test_screen_coordinates() -> None:
    assert np.allclose(to_screen(np.array([[0, 0], [1000, 1002], [500, 501], [np.nan, 3]]), np.array([1000, 1002])),
                       [[-1, -1.002], [1, 1.002], [0, 0], [0, 6 / 1000 - 1.002]])  # fmt: skip


def test_metrics_in_closed_form() -> None:
    t = RNG.normal(size=(4, 6, 3))
    assert np.allclose(procrustes(2.5 * t @ TURN.T + 3, t), t)
    assert not np.allclose(procrustes(t * [-1, 1, 1], t), t)  # a mirror image is not allowed
    assert np.allclose(scaled(0.2 * t, t), t)
    assert np.allclose(velocity_error(t + np.arange(4)[:, None, None] * [0, 3, 4], t), 5)
    assert share_within(np.array([149.99, 150.0, 0.0, 150.01]), 150) == 0.5
    assert area_under_curve(np.array([0.0])) == pytest.approx(30 / 31)  # nothing is closer than 0
    assert area_under_curve(np.array([72.0])) == pytest.approx(16 / 31)  # 75, 80 ... 150
