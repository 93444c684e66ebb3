"""Look into nested data from a file, and say what is wrong with it: the file, the key, and what was expected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from .errors import MotionliftError
from .skeleton import Skeleton

_REMEDY = "Compare the file with what docs/detectors.md and docs/training-data.md say of its format"


def mapping(value: object, where: str) -> dict[str, Any]:
    """`value` as a dict; `where` names the file and the keys down to it, in all functions here."""
    if not isinstance(value, dict):
        raise MotionliftError(f"{where}: {_described(value)}, expected a dict", _REMEDY)
    return {str(k): v for k, v in cast(dict[Any, Any], value).items()}


def entry(value: object, key: str, where: str) -> Any:
    """What a dict holds under a key."""
    data = mapping(value, where)
    if key not in data:
        has = ", ".join(list(data)[:12]) or "nothing"
        raise MotionliftError(f"{where}: no key {key!r}; it has {has}", _REMEDY)
    return data[key]


def sequence(value: object, where: str, length: int | None = None) -> list[Any]:
    """A list, tuple or array as a list, of this length."""
    items = list(cast(Sequence[Any], value)) if isinstance(value, list | tuple | np.ndarray) else None
    if items is None or (length is not None and len(items) != length):
        wanted = "a list" if length is None else f"a list of {length}"
        raise MotionliftError(f"{where}: {_described(cast(object, value))}, expected {wanted}", _REMEDY)
    return items


def array(value: object, shape: tuple[int | str, ...], where: str) -> NDArray[np.float64]:
    """Finite numbers of a shape, in which letters stand for any length, as float64."""
    try:
        out = np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise MotionliftError(f"{where}: {_described(value)}, expected numbers of {_text(shape)}", _REMEDY) from None
    fits = out.ndim == len(shape) and all(isinstance(n, str) or n == m for n, m in zip(shape, out.shape, strict=True))
    if not fits:
        raise MotionliftError(f"{where}: shape {out.shape}, expected {_text(shape)}", _REMEDY)
    if not np.isfinite(out).all():
        raise MotionliftError(f"{where}: numbers that are not finite", "Get the file again")
    return out


def joint_order(names: Sequence[str], skeleton: Skeleton, source: str) -> list[int]:
    """Which of a source's joints each joint of the skeleton is."""
    missing = [n for n in skeleton.joint_names if n not in names]
    if missing:
        raise MotionliftError(
            f"{source}: has no {', '.join(missing)}, which skeleton {skeleton.name} has",
            f"Use a skeleton of some of {', '.join(names)}",
        )
    return [list(names).index(n) for n in skeleton.joint_names]


def _described(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and type {cast(NDArray[Any], value).dtype}"
    if isinstance(value, list | tuple):
        return f"{'a list' if isinstance(value, list) else 'a tuple'} of {len(cast(Sequence[Any], value))}"
    return f"{type(value).__name__} {str(value)[:40]!r}"


def _text(shape: tuple[int | str, ...]) -> str:
    return "(" + ", ".join(map(str, shape)) + (",)" if len(shape) == 1 else ")")
