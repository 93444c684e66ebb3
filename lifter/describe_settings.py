"""What the lifter offers, as plain data for programs that must not import it: Blender's Solve panel is made from it.

python -m lifter.describe_settings > blender_addon/lifter_settings.json

A setting of solving is a field of the dataclass: its type says what it takes, its default what it is, `metadata` its
"range" (low, high), "unit" and "choices" (what each does), and the docstring's "Attributes:" what it does. A test keeps
file and dataclass alike.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
import types
import typing
from dataclasses import MISSING, fields
from typing import Any

from .capture import capture
from .detect import DETECTORS, FINDER, RTM
from .detect.rtm_models import LICENCE, MODELS, SOURCE
from .motion import SolveSettings

KINDS = {float: "float", int: "int", bool: "bool", str: "text"}


def describe() -> dict[str, Any]:
    """solve: see `describe_settings`; capture: names of what else `lifter.capture` takes; detectors: their names;
    networks: those that detectors can be told, each with its detector, size, and what goes with it."""
    names = [n for n in inspect.signature(capture).parameters if n not in ("path", "settings", "progress")]
    return {"solve": describe_settings(), "capture": names, "detectors": list(DETECTORS), "networks": networks()}


def networks() -> dict[str, Any]:
    """licence and source, of all; models: the networks of RTMPose, RTMW and RTMO, each detector's usual one first.

    Each has name, detector ("" for those that find boxes), megabytes, layout, and `needs`: the network of boxes that
    it wants beside itself, or "".
    """
    found = [
        {
            "name": model.name,
            "detector": "" if model.kind == "people" else model.name.partition("-")[0],
            "megabytes": model.megabytes,
            "layout": model.layout,
            "needs": FINDER if model.kind == "pose" else "",
        }
        for model in sorted(MODELS.values(), key=lambda m: m.name not in RTM.values())
    ]
    return {"licence": LICENCE, "source": SOURCE, "models": found}


def describe_settings(settings: type[Any] = SolveSettings) -> list[dict[str, Any]]:
    """A dictionary a setting: name, label, kind, default, text; and where there are such: range, unit, choices, and
    `optional`, which means that None is possible.

    kind: "float", "int", "bool", "text" or "choice". Raises TypeError for a field that is none of these.
    """
    hints, texts = typing.get_type_hints(settings), _attribute_texts(settings)
    out: list[dict[str, Any]] = []
    for each in fields(settings):
        if each.metadata.get("panel") is False:
            continue
        if each.default is MISSING or each.name not in texts:
            raise TypeError(f"{settings.__name__}.{each.name} needs a default and a line under Attributes:")
        kind, choices, optional = _kind(each.name, hints[each.name])
        entry: dict[str, Any] = {
            "name": each.name,
            "label": each.metadata.get("label", each.name.replace("_", " ").title()),
            "kind": kind,
            "default": each.default,
            "text": texts[each.name],
        }
        if choices:
            entry["choices"] = choices
        if "choices" in each.metadata:
            entry["choice_texts"] = dict(each.metadata["choices"])
        if optional:
            entry["optional"] = True
        if "range" in each.metadata:
            entry["range"] = list(each.metadata["range"])
        if "unit" in each.metadata:
            entry["unit"] = each.metadata["unit"]
        out.append(entry)
    return out


def _kind(name: str, hint: Any) -> tuple[str, list[str], bool]:
    optional = False
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        inner = [a for a in typing.get_args(hint) if a is not types.NoneType]
        optional, hint = len(inner) < len(typing.get_args(hint)), inner[0] if len(inner) == 1 else hint
    if typing.get_origin(hint) is typing.Literal:
        return "choice", [str(a) for a in typing.get_args(hint)], optional
    if hint not in KINDS:
        raise TypeError(f"{name} is a {hint}: a setting is a number, a switch, a text or a choice (Literal)")
    return KINDS[hint], [], optional


def _attribute_texts(settings: type[Any]) -> dict[str, str]:
    """What stands under "Attributes:" in the docstring, by name; a line that is indented more goes on."""
    _, _, lines = inspect.cleandoc(settings.__doc__ or "").partition("Attributes:\n")
    texts: dict[str, str] = {}
    name = ""
    for line in lines.splitlines():
        if found := re.match(r" {4}(\w+): (.*)", line):
            name, texts[found[1]] = found[1], found[2]
        elif name and line.startswith(" " * 8):
            texts[name] += " " + line.strip()
    return {n: t.rstrip(". ") for n, t in texts.items()}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(describe(), indent=2) + "\n")
