"""The Solve panel's settings, made from lifter_settings.json: what `lifter.SolveSettings` has, without importing it.

A setting that the lifter gains appears here when the file is written anew (lifter/describe_settings.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import bpy

FILE = Path(__file__).with_name("lifter_settings.json")
UNITS = {"m": "LENGTH", "rad": "ROTATION", "s": "TIME_ABSOLUTE"}
USE = "use_"
"""Stands before the name of the switch beside a setting that may be left open."""


@cache
def offered() -> Mapping[str, Any]:
    """All of the file: "solve", the settings; "capture", names of what capturing takes; "detectors"."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def description() -> list[Mapping[str, Any]]:
    return offered()["solve"]


def make_group() -> type[Any]:
    """The PropertyGroup with one property a setting, and a switch beside each that may be left open."""
    properties: dict[str, Any] = {}
    for setting in description():
        properties[setting["name"]] = _property(setting)
        if setting.get("optional"):
            text = f"Set it by hand; otherwise Motionlift finds it. {setting['text']}"
            properties[USE + setting["name"]] = bpy.props.BoolProperty(name=setting["label"], description=text)
    return type("MotionliftSolve", (bpy.types.PropertyGroup,), {"__annotations__": properties})


def _property(setting: Mapping[str, Any]) -> Any:
    common = {"name": setting["label"], "description": setting["text"]}
    default = setting["default"]
    low, high = setting.get("range", (None, None))
    limits = {k: v for k, v in (("min", low), ("max", high)) if v is not None}
    kind = setting["kind"]
    if kind == "choice":
        texts = setting.get("choice_texts", {})
        items = [(c, c.replace("_", " ").title(), texts.get(c, "")) for c in setting["choices"]]
        return bpy.props.EnumProperty(items=items, default=default or items[0][0], **common)
    if kind == "bool":
        return bpy.props.BoolProperty(default=bool(default), **common)
    if kind == "int":
        return bpy.props.IntProperty(default=int(default or low or 0), **limits, **common)
    if kind == "float":
        unit = UNITS.get(setting.get("unit", ""), "NONE")
        share = {"subtype": "FACTOR"} if (low, high) == (0, 1) else {"step": 1}
        return bpy.props.FloatProperty(default=float(default or low or 0), unit=unit, **share, **limits, **common)
    return bpy.props.StringProperty(default=str(default or ""), **common)


def values(group: Any) -> dict[str, Any]:
    """What the worker is sent: settings by name; those left open are None."""
    out: dict[str, Any] = {}
    for setting in description():
        name = setting["name"]
        open_ = setting.get("optional") and not getattr(group, USE + name)
        value = getattr(group, name)
        # Blender keeps single precision: 1.7 would come back as 1.7000000476837158.
        out[name] = None if open_ else round(value, 6) if isinstance(value, float) else value
    return out


def adopt(group: Any, settings: Mapping[str, Any]) -> None:
    """Show settings in the panel, such as those that a take was solved with; unknown ones are left out."""
    for setting in description():
        name = setting["name"]
        if name not in settings:
            continue
        value = settings[name]
        if setting.get("optional"):
            setattr(group, USE + name, value is not None)
        if value is not None and (setting["kind"] != "choice" or value in setting["choices"]):
            setattr(group, name, value)
