"""Open the research archives that hold pickled objects, and run nothing that is in them.

A pickle is a program: it may import any function and call it. Published datasets are nevertheless shipped as pickles,
plain or inside .npz files. Here an import gives numpy arrays, their types and their scalars, rebuilt by our own code
from checked parts, and nothing else; dicts, lists, tuples, numbers and strings need no import. Whatever else a file
asks for ends in an error that names the file.

    positions = read_member(Path("data_3d_h36m.npz"), "positions_3d")
    table = read_pickle(Path("h36m_sh_conf_cam_source_final.pkl"))
"""

from __future__ import annotations

import pickle
import zipfile
import zlib
from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from lifter.errors import MotionliftError

_KINDS = "?bBhHiIlLqQefdSUO"  # numbers, fixed-length strings, objects: no structures, no void, no dates
_UNSAFE = "Do not open it with anything else; get the file from its publisher again"
_DAMAGED = "Download the file again"


class _RefusedError(Exception):
    """A pickle asks for more than data."""


class _Type:
    """A numpy dtype on its way out of a pickle: simple ones only, which is checked before numpy sees them."""

    __slots__ = ("dtype",)

    def __init__(self, code: object) -> None:
        if not (isinstance(code, str) and code.lstrip("<>=|")[:1] in (*"biufSUO",) and len(code) < 16):
            raise _RefusedError(f"the array type {str(code)[:40]!r}")
        self.dtype = np.dtype(code)
        if self.dtype.char not in _KINDS:
            raise _RefusedError(f"the array type {code!r}")

    def __setstate__(self, state: object) -> None:
        # (version, byte order, subarray, names, fields, ...): of these only the byte order says something.
        if not (isinstance(state, tuple) and len(state) >= 5 and state[1] in ("<", ">", "=", "|")):
            raise _RefusedError("a damaged array type")
        if any(part is not None for part in state[2:5]):
            raise _RefusedError("a structured array type")
        if state[1] != "|":
            self.dtype = self.dtype.newbyteorder(state[1])


class _Array(np.ndarray[Any, Any]):
    """An array on its way out of a pickle: data and shape are checked before numpy sees them."""

    def __setstate__(self, state: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        if not (isinstance(state, tuple) and len(state) == 5):
            raise _RefusedError("a damaged array")
        version, shape, kind, fortran, data = state
        super().__setstate__((version, *_parts(shape, kind, data), bool(fortran), data))  # pyright: ignore


def _parts(shape: object, kind: object, data: object) -> tuple[tuple[int, ...], np.dtype[Any]]:
    if not (isinstance(kind, _Type) and isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape)):
        raise _RefusedError("a damaged array")
    count, dtype = prod(shape), kind.dtype
    if dtype.hasobject:
        right = isinstance(data, list) and len(data) == count
    else:
        right = isinstance(data, bytes | bytearray) and len(data) == count * dtype.itemsize
    if not right:
        raise _RefusedError(f"an array of shape {shape} whose data do not fit")
    return shape, dtype


class _Maker:
    """What an import gives: something that can be called with checked arguments, and not be changed."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *arguments: object) -> Any:
        try:
            return self._make(*arguments)
        except (TypeError, ValueError) as error:
            raise _RefusedError(f"a damaged array ({error})") from error

    def __setstate__(self, state: object) -> NoReturn:
        raise _RefusedError("a change to a function")


def _empty_array(kind: object, shape: object, code: object) -> _Array:
    if kind is not _NDARRAY:
        raise _RefusedError("an array of another class")
    return _Array((0,), np.uint8)


def _scalar(kind: object, data: object) -> Any:
    _, dtype = _parts((), kind, data)
    if dtype.hasobject:
        raise _RefusedError("a scalar object")
    return np.frombuffer(bytes(data), dtype)[0]  # type: ignore[call-overload]


def _from_buffer(data: object, kind: object, shape: object, order: object, *rest: object) -> NDArray[Any]:
    shape, dtype = _parts(shape, kind, data)
    if dtype.hasobject or rest or order not in ("C", "F"):
        raise _RefusedError("an array in an unknown form")
    return np.frombuffer(data, dtype).reshape(shape, order=order)  # type: ignore[call-overload]


def _encoded(text: object, encoding: object) -> bytes:
    if not (isinstance(text, str) and encoding == "latin1"):
        raise _RefusedError("an unknown encoding")
    return text.encode("latin1")


def _no_array(*arguments: object) -> NoReturn:
    raise _RefusedError("an array made directly")


_NDARRAY = _Maker(_no_array)
_IMPORTS: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _Maker(lambda code, align=False, copy=True: _Type(code)),
    ("_codecs", "encode"): _Maker(_encoded),  # how Python 3 writes bytes for Python 2,
    ("__builtin__", "bytes"): _Maker(lambda: b""),  # and how it writes none
}
for _core in ("numpy.core", "numpy._core"):  # numpy 1 and numpy 2
    _IMPORTS[f"{_core}.multiarray", "_reconstruct"] = _Maker(_empty_array)
    _IMPORTS[f"{_core}.multiarray", "scalar"] = _Maker(_scalar)
    _IMPORTS[f"{_core}.numeric", "_frombuffer"] = _Maker(_from_buffer)


class _DataOnly(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        try:
            return _IMPORTS[module_name, global_name]
        except KeyError:
            raise _RefusedError(f"{module_name}.{global_name}") from None

    def persistent_load(self, pid: Any) -> NoReturn:
        raise _RefusedError("an object from outside the file")


def _plain(value: Any, known: dict[int, tuple[Any, Any]]) -> Any:
    """The same data with numpy's own arrays instead of ours, whatever refers to whatever.

    `known` holds what was met, so that its identity is not given to something else, and what it became.
    """
    if id(value) in known:
        return known[id(value)][1]
    if isinstance(value, np.ndarray):
        array = value.view(np.ndarray)
        known[id(value)] = value, array
        if array.dtype.hasobject:
            array[...] = _objects([_plain(v, known) for v in array.ravel()]).reshape(array.shape)
        return array
    if isinstance(value, dict | list):
        known[id(value)] = value, value
        if isinstance(value, dict):
            value.update({k: _plain(v, known) for k, v in value.items()})
        else:
            value[:] = [_plain(v, known) for v in value]
        return value
    if isinstance(value, tuple):
        made = tuple(_plain(v, known) for v in value)
        known[id(value)] = value, made
        return made
    return value


def _objects(values: list[Any]) -> NDArray[Any]:
    out = np.empty(len(values), object)
    for i, value in enumerate(values):
        out[i] = value
    return out


def unpickle(file: IO[bytes], where: str) -> Any:
    """The data in a pickle. Raises MotionliftError that begins with `where` and says what is refused."""
    try:
        # Python 2 wrote its strings as bytes of an unsaid encoding; latin1 takes any and keeps numbers right.
        return _plain(_DataOnly(file, encoding="latin1").load(), {})
    except _RefusedError as error:
        raise MotionliftError(
            f"{where}: asks for {error}; only arrays, dicts, lists, numbers and strings are read", _UNSAFE
        ) from error
    except (MemoryError, RecursionError):
        raise MotionliftError(f"{where}: larger or deeper than memory allows", _DAMAGED) from None
    except Exception as error:  # the unpickler raises almost anything on damaged input
        raise MotionliftError(
            f"{where}: damaged, or not a pickle ({type(error).__name__}: {error})", _DAMAGED
        ) from error


def read_pickle(path: Path) -> Any:
    """The data in a .pkl file."""
    try:
        with path.open("rb") as file:
            return unpickle(file, str(path))
    except OSError as error:
        raise MotionliftError(f"{path}: cannot be read ({error.strerror})", "Check the path") from error


def read_member(path: Path, key: str) -> Any:
    """What an .npz file holds under a key: an array, or the object in a 0-d object array.

    Raises MotionliftError that names the file, the key and, where the key is absent, those that there are.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            keys = [n.removesuffix(".npy") for n in archive.namelist()]
            if key not in keys:
                raise MotionliftError(f"{path}: no key {key!r}; it has {', '.join(keys) or 'none'}", "Check the file")
            with archive.open(archive.namelist()[keys.index(key)]) as member:
                return _read_npy(member, f"{path}, key {key!r}")
    except OSError as error:
        raise MotionliftError(f"{path}: cannot be read ({error.strerror or error})", "Check the path") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise MotionliftError(f"{path}: damaged, or not an .npz file ({error})", _DAMAGED) from error


def member_names(path: Path) -> tuple[str, ...]:
    """Keys of an .npz file."""
    try:
        with zipfile.ZipFile(path) as archive:
            return tuple(n.removesuffix(".npy") for n in archive.namelist())
    except (OSError, zipfile.BadZipFile) as error:
        raise MotionliftError(f"{path}: damaged, or not an .npz file ({error})", _DAMAGED) from error


def _read_npy(file: IO[bytes], where: str) -> Any:
    try:
        version = npy.read_magic(file)
        header: Sequence[Any] = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version](file)
        shape, fortran, dtype = header
        if not dtype.hasobject:
            data = file.read()
            if len(data) != prod(shape) * dtype.itemsize:
                raise ValueError(f"{len(data)} bytes for shape {shape}")
            return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
    except (ValueError, KeyError) as error:
        raise MotionliftError(f"{where}: damaged, or not an array ({error})", _DAMAGED) from error
    if dtype.names is not None:
        raise MotionliftError(f"{where}: a structured array", "Expected an array or a pickled dict")
    made = unpickle(file, where)
    if not isinstance(made, np.ndarray) or made.shape != shape:
        raise MotionliftError(f"{where}: the pickled array is not of shape {shape}", _DAMAGED)
    return made.item() if made.ndim == 0 else made
