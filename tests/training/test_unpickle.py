from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lifter.errors import MotionliftError
from training.data.unpickle import member_names, read_member, read_pickle, unpickle

DATA = {
    "positions": {"S1": {"Walk 1": np.arange(12, dtype=np.float32).reshape(2, 2, 3)}},
    "list": [np.arange(6.0)[::2], np.float64(2.5), np.int32(7), np.bool_(True), 3, 4.5, "text", None, (1, 2)],
    "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "big": np.arange(4, dtype=">i2"),
    "strings": np.array(["a", "bcd"]),
    "objects": np.array([{"x": 1}, [np.ones(2)]], object),
    "empty": np.zeros((0, 17, 3)),
    "bytes": b"\x00\xff",
}


def same(a, b) -> None:
    assert type(a) is type(b)
    if isinstance(b, dict):
        assert list(a) == list(b)
        for k in b:
            same(a[k], b[k])
    elif isinstance(b, list | tuple) or (isinstance(b, np.ndarray) and b.dtype == object):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    else:
        # With some protocols numpy brings another byte order to the machine's own.
        assert np.array_equal(a, b) and np.asarray(a).dtype.str[1:] == np.asarray(b).dtype.str[1:]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_data_come_back_as_they_were(tmp_path: Path, protocol: int) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(DATA, protocol))
    same(read_pickle(tmp_path / "a.pkl"), DATA)


def test_what_refers_to_itself_still_does() -> None:
    loop: list = [np.ones(2)]
    loop += [loop, {"again": loop}]
    back = unpickle(io.BytesIO(pickle.dumps(loop)), "x")
    assert back[1] is back and back[2]["again"] is back and type(back[0]) is np.ndarray


@pytest.mark.parametrize("name", ["numpy.core", "numpy._core"])
def test_both_of_numpys_module_names_are_known(name: str) -> None:
    own = np.zeros(1).__reduce__()[0].__module__.removesuffix(".multiarray")
    data = pickle.dumps(DATA["positions"], 2).replace(f"c{own}.".encode(), f"c{name}.".encode())
    assert f"c{name}.multiarray".encode() in data
    same(unpickle(io.BytesIO(data), "x"), DATA["positions"])


def test_strings_of_python_2_are_read() -> None:
    # {'joint': 'S1', 'n': 5}, as Python 2 wrote it
    data = b"\x80\x02}q\x00(U\x05jointq\x01U\x02S1q\x02U\x01nq\x03K\x05u."
    assert unpickle(io.BytesIO(data), "x") == {"joint": "S1", "n": 5}


def test_members_of_an_npz(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", data=np.array(DATA), plain=np.arange(6).reshape(2, 3).T, z=np.float32(3))
    assert member_names(tmp_path / "a.npz") == ("data", "plain", "z")
    same(read_member(tmp_path / "a.npz", "data"), DATA)
    assert np.array_equal(read_member(tmp_path / "a.npz", "plain"), np.arange(6).reshape(2, 3).T)
    assert read_member(tmp_path / "a.npz", "z") == 3
    with pytest.raises(MotionliftError, match=r"a\.npz: no key 'nothing'; it has data, plain, z"):
        read_member(tmp_path / "a.npz", "nothing")


class _Runs:
    def __init__(self, *call) -> None:
        self.call = call

    def __reduce__(self):
        return self.call


HOSTILE = {
    "a command": (os.system, ("touch {mark}",)),
    "evaluation": (eval, ("open({mark!r}, 'w')",)),
    "an import": (__import__, ("antigravity",)),
    "numpy's own loader": (np.load, ("{mark}", None, True)),
    "a file": (open, ("{mark}", "w")),
    "an attribute": (getattr, ("text", "format")),
    "another class": (Path, ("{mark}",)),
    "a raw array": (np.ndarray, ((3,), "O")),
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("form", ["pkl", "npz", "nested"])
def test_a_hostile_file_is_refused_and_runs_nothing(tmp_path: Path, kind: str, form: str) -> None:
    mark = tmp_path / "mark"
    function, arguments = HOSTILE[kind]
    arguments = tuple(a.format(mark=str(mark)) if isinstance(a, str) else a for a in arguments)
    evil = {"S1": [_Runs(function, arguments)]}
    path = tmp_path / f"evil.{form}"
    if form == "pkl":
        path.write_bytes(pickle.dumps(evil))
    elif form == "npz":
        np.savez(path.with_suffix(".npz"), data=np.array(evil))
        path = path.with_suffix(".npz")
    else:
        path.write_bytes(pickle.dumps(np.array([evil], object)))
    with pytest.raises(MotionliftError, match=r"evil\.\w+.*: asks for"):
        read_member(path, "data") if form == "npz" else read_pickle(path)
    assert not mark.exists()


def array_pickle(kind: str, state: tuple, shape: tuple, data: object) -> bytes:
    """A pickle of an array with whatever type, shape and data; numpy itself is not asked."""

    class Kind:
        def __reduce__(self):
            return np.dtype, (kind, False, True), state

    class Array:
        def __reduce__(self):
            rebuild, arguments, _ = np.zeros(1).__reduce__()
            return rebuild, arguments, (1, shape, Kind(), False, data)

    return pickle.dumps(Array())


PLAIN = (3, "<", None, None, None, -1, -1, 0)
FORGED = {
    "too little data": array_pickle("f8", PLAIN, (1000,), b"\0" * 8),
    "negative shape": array_pickle("f8", PLAIN, (-1,), b"\0" * 8),
    "addresses as objects": array_pickle("O8", (3, "|", None, None, None, -1, -1, 63), (1,), b"\x41" * 8),
    "fields outside": array_pickle(
        "V8", (3, "|", None, ("a",), {"a": (np.dtype("f8"), 4096)}, 8, 1, 0), (1,), b"\0" * 8
    ),
    "a structure said late": array_pickle("f8", (3, "|", None, ("a",), {"a": 0}, 8, 1, 0), (1,), b"\0" * 8),
    "a huge string type": array_pickle("U999999999999999", PLAIN, (0,), b""),
    "a function changed": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n}b.",
    "an extension": b"\x80\x02\x82\x01.",
    "a persistent object": b"\x80\x02X\x01\x00\x00\x00aQ.",
}


@pytest.mark.parametrize("kind", FORGED)
def test_forged_arrays_never_reach_numpy(kind: str) -> None:
    with pytest.raises(MotionliftError, match=r"^x: "):
        unpickle(io.BytesIO(FORGED[kind]), "x")


@pytest.mark.parametrize("content", [b"", b"not a pickle", pickle.dumps(DATA)[:-40]])
def test_damaged_pickles(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pkl").write_bytes(content)
    with pytest.raises(MotionliftError, match=r"a\.pkl: damaged"):
        read_pickle(tmp_path / "a.pkl")
    with pytest.raises(MotionliftError, match=r"a\.pkl: damaged"):
        read_member(tmp_path / "a.pkl", "data")


def test_damaged_members(tmp_path: Path) -> None:
    np.savez(tmp_path / "good.npz", data=np.arange(100))
    for name, change in {"short": lambda b: b[:-10], "magic": lambda b: b"x" + b[1:], "empty": lambda b: b""}.items():
        with zipfile.ZipFile(tmp_path / "good.npz") as old, zipfile.ZipFile(tmp_path / "a.npz", "w") as new:
            new.writestr("data.npy", change(old.read("data.npy")))
        with pytest.raises(MotionliftError, match=r"a\.npz, key 'data': damaged"):
            read_member(tmp_path / "a.npz", "data")
        assert name
    with pytest.raises(MotionliftError, match="cannot be read"):
        read_member(tmp_path / "nothing.npz", "data")
    with pytest.raises(MotionliftError, match="cannot be read"):
        read_pickle(tmp_path / "nothing.pkl")


def test_a_pickle_may_not_claim_another_shape_than_its_header(tmp_path: Path) -> None:
    np.savez(tmp_path / "good.npz", data=np.array([{}, {}], object))
    with zipfile.ZipFile(tmp_path / "good.npz") as old, zipfile.ZipFile(tmp_path / "a.npz", "w") as new:
        header = old.read("data.npy").split(b"\n", 1)[0] + b"\n"
        new.writestr("data.npy", header + pickle.dumps({"a": 1}))
    with pytest.raises(MotionliftError, match="not of shape"):
        read_member(tmp_path / "a.npz", "data")
