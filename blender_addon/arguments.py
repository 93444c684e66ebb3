"""Command line arguments of retargeting, for `motionlift animate` and `blender --command motionlift`. Without bpy."""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Any

OUTPUTS = (".blend", ".fbx", ".glb", ".bvh", ".usd", ".usdc", ".usda")
"""Files that a take can become."""
FLAGS = ("no_foot_lock", "no_fingers", "mirror", "nla", "layer")
"""Arguments without a value."""


def add_retarget_arguments(parser: argparse.ArgumentParser, *, rig_required: bool = False) -> Any:
    """Returns the group of arguments, for more of them."""
    rig = parser.add_argument_group("onto a rig of your own")
    rig.add_argument("--person", type=int, metavar="N", help="only the N-th person (with --rig: the first)")
    rig.add_argument(
        "--rig",
        required=rig_required,
        metavar="FILE.blend[:OBJECT]",
        help="armature to key; also .fbx, .glb, .bvh. Never changed",
    )
    rig.add_argument("--mapping", metavar="FILE", help="mapping file (.toml) or name of a preset; else one is found")
    rig.add_argument(
        "--root",
        default="hips",
        choices=("hips", "bone", "object", "in-place"),
        help="what carries the character: hips (default), root bone, object, or nothing",
    )
    rig.add_argument(
        "--limbs", default="fk", metavar="WAY", help="controls of a control rig to key: fk, ik, or arms=fk,legs=ik"
    )
    rig.add_argument("--no-foot-lock", action="store_true", help="let feet move as they were captured")
    rig.add_argument("--no-fingers", action="store_true", help="no keys on finger bones")
    rig.add_argument("--stride", type=float, default=1.0, metavar="X", help="factor on the path over the floor")
    rig.add_argument("--mirror", action="store_true", help="exchange left and right")
    rig.add_argument("--step", type=int, default=1, metavar="N", help="a key every N frames")
    rig.add_argument(
        "--reduce", type=float, nargs=2, metavar=("DEG", "MM"), help="fewer keys, off by no more than this"
    )
    rig.add_argument("--nla", action="store_true", help="put the action on a new NLA track")
    rig.add_argument("--layer", action="store_true", help="the same, below an empty layer for edits")
    return rig


def retarget_argv(args: argparse.Namespace) -> list[str]:
    """The same arguments as words of a command line, for another process."""
    words: list[str] = []
    for name in ("person", "rig", "mapping", "root", "limbs", "stride", "step"):
        value = getattr(args, name)
        if value is not None:
            words.append(f"--{name}={value}")
    words += [f"--{n.replace('_', '-')}" for n in FLAGS if getattr(args, n)]
    return [*words, "--reduce", *map(str, args.reduce)] if args.reduce else words


def retarget_key(args: argparse.Namespace) -> dict[str, Any]:
    """What these arguments make of a take depends on: contents of rig and mapping in place of their paths.

    Raises OSError where one cannot be read. Libraries and textures that the rig links to are not looked at.
    """
    names = ("person", "root", "limbs", "stride", "step", "reduce")
    options: dict[str, Any] = {n: getattr(args, n) for n in (*names, *FLAGS)}
    if args.rig:
        path, name = split_rig(args.rig)
        options |= {"rig": _content(path), "object": name}
    if args.mapping:
        is_file = args.mapping.endswith(".toml")
        options["mapping"] = _content(Path(args.mapping)) if is_file else args.mapping
    return options


def split_rig(text: str) -> tuple[Path, str | None]:
    """FILE.blend or FILE.blend:OBJECT to its parts; a drive's colon is no separator."""
    at = text.lower().find(".blend:")
    return (Path(text[: at + 6]), text[at + 7 :]) if at >= 0 else (Path(text), None)


def _content(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def retarget_options(args: argparse.Namespace) -> dict[str, Any]:
    """Keyword arguments of `animate_rig`."""
    from .retarget.blender.apply import KeySettings
    from .retarget.solve import RetargetSettings

    mapping = args.mapping
    if mapping and mapping.endswith(".toml"):
        mapping = Path(mapping)
    return {
        "person": 0 if args.person is None else args.person - 1,
        "mapping": mapping,
        "settings": RetargetSettings(
            root=args.root.replace("-", "_"),
            limbs=args.limbs,
            foot_lock=not args.no_foot_lock,
            fingers=not args.no_fingers,
            stride=args.stride,
            mirror=args.mirror,
        ),
        "keys": KeySettings(step=args.step, reduce=args.reduce, to_nla=args.nla, layer=args.layer),
    }
