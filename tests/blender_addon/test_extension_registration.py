"""What the extension adds to Blender, that it is described, and that nothing stays when it goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import pytest

from .extension import disable, enable, module


def traces() -> dict[str, set[str]]:
    """All that an extension could leave behind."""
    handlers = bpy.app.handlers
    lists = [n for n in dir(handlers) if isinstance(getattr(handlers, n), list)]
    classes = {n for n in dir(bpy.types) if not n.startswith("_")}
    config = bpy.context.window_manager.keyconfigs.addon
    return {
        "classes": classes,
        "operators": {f"{g}.{o}" for g in dir(bpy.ops) for o in dir(getattr(bpy.ops, g))},
        "handlers": {f"{n} {h.__module__}.{h.__name__}" for n in lists for h in getattr(handlers, n)},
        "properties": {
            f"{t} {p}"
            for t in ("Scene", "Object", "WindowManager", "MovieClip", "Action")
            for p in dir(getattr(bpy.types, t))
        },
        "keys": {f"{m.name} {i.idname}" for m in config.keymaps for i in m.keymap_items} if config else set(),
    }


def test_nothing_stays_when_it_goes(scene: Any) -> None:
    enable()
    jobs = module("capture.jobs")
    on_timer = jobs._on_timer
    bpy.app.timers.register(on_timer, first_interval=1e6, persistent=True)
    disable()
    before = traces()
    enable()
    between = traces()
    disable()
    assert traces() == before
    assert not bpy.app.timers.is_registered(on_timer)
    added = {kind: between[kind] - before[kind] for kind in between}
    assert "motionlift.capture" in added["operators"] and "Scene motionlift" in added["properties"]
    assert len(added["handlers"]) == 4
    assert all(c.startswith(("MOTIONLIFT_", "Motionlift")) for c in added["classes"]), added["classes"]
    enable()
    assert traces() == between


def test_no_module_lies_at_the_top_and_no_path_was_added(scene: Any) -> None:
    import sys

    ours = {
        n
        for n, m in sys.modules.items()
        if "user_default/motionlift" in Path(getattr(m, "__file__", "") or "").as_posix()
    }
    assert ours and all(n.startswith("bl_ext.user_default.motionlift") for n in ours)
    assert not [p for p in sys.path if "user_default/motionlift" in Path(p).as_posix()]
    assert not [n for n in sys.modules if n == "lifter.capture" and n in ours]


def test_everything_has_a_tooltip(scene: Any) -> None:
    silent: list[str] = []
    for each in module("registration").CLASSES:
        if issubclass(each, bpy.types.Operator):
            group, name = each.bl_idname.split(".")
            kind = getattr(getattr(bpy.ops, group), name).get_rna_type()
        elif issubclass(each, bpy.types.PropertyGroup | bpy.types.AddonPreferences):
            kind = each.bl_rna
        else:
            continue
        if issubclass(each, bpy.types.Operator) and not kind.description:
            silent.append(each.bl_idname)
        silent += [
            f"{each.__name__}.{p.identifier}"
            for p in kind.properties
            if p.identifier not in ("rna_type", "name", "bl_idname")
            and p.type not in ("POINTER", "COLLECTION")
            and not p.description
        ]
        silent += [
            f"{each.__name__}.{p.identifier} {item.identifier}"
            for p in kind.properties
            if p.type == "ENUM" and p.identifier not in ("detector", "smoothing")
            for item in p.enum_items_static
            if not item.description
        ]
    assert silent == []


def test_descriptions_are_no_sentences_with_a_full_stop(scene: Any) -> None:
    """Blender adds the full stop."""
    for each in module("registration").CLASSES:
        for p in getattr(each, "bl_rna", bpy.types.Object.bl_rna).properties:
            if each.__name__.startswith("Motionlift"):
                assert not p.description.endswith("."), (each.__name__, p.identifier)


class Layout:
    """Takes what panels draw, and checks that what they name is there."""

    def __init__(self, drawn: list[str]) -> None:
        self.drawn = drawn

    def __getattr__(self, name: str) -> Any:
        def draw(*args: Any, **options: Any) -> Any:
            if name in ("prop", "prop_search", "template_ID"):
                assert hasattr(args[0], args[1]), args[1]
                self.drawn.append(args[1])
            if name == "template_ID":
                assert options["open"].split(".")[1] in dir(bpy.ops.motionlift)
            if name in ("label", "progress"):
                self.drawn.append(str(options.get("text", "")))
            if icon := options.get("icon"):
                icons = bpy.types.UILayout.bl_rna.functions["label"].parameters["icon"].enum_items
                assert icon in icons, f"no icon {icon}"
            if name == "operator":
                group, each = args[0].split(".")
                assert each in dir(getattr(bpy.ops, group)), args[0]
                self.drawn.append(args[0])
                return type("Properties", (), {})()
            if name == "panel":
                return Layout(self.drawn), Layout(self.drawn)
            if name == "template_list":
                assert hasattr(bpy.types, args[0]), args[0]
            return Layout(self.drawn)

        return draw

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)


def draw_all(context: Any) -> list[str]:
    drawn: list[str] = []
    for section in module("ui.panels").SECTIONS:
        section.draw(Layout(drawn), context)
        module("ui.parts").draw_notices(Layout(drawn), context, section.name)
    return drawn


def test_panels_draw_in_an_empty_file_and_say_what_to_do(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOTIONLIFT_PYTHON", raising=False)
    drawn = draw_all(bpy.context)
    for operator in ("capture", "preview", "solve", "retarget", "batch", "export", "set_up"):
        assert (f"motionlift.{operator}" in drawn) is (operator != "preview"), operator


def test_every_solve_setting_is_drawn(scene: Any) -> None:
    drawn = draw_all(bpy.context)
    for setting in module("solve_settings").description():
        assert setting["name"] in drawn


def test_later_settings_need_no_new_code(scene: Any) -> None:
    """Of each kind the lifter could gain: a property, drawn, sent, and taken over from a take."""
    solve = module("solve_settings")
    offered = solve.offered()
    more = [
        {
            "name": "feet",
            "label": "Feet",
            "kind": "choice",
            "default": "auto",
            "choices": ["auto", "never"],
            "text": "x",
        },
        {
            "name": "floor",
            "label": "Floor",
            "kind": "float",
            "default": None,
            "optional": True,
            "unit": "m",
            "text": "x",
        },
        {"name": "tries", "label": "Tries", "kind": "int", "default": 3, "range": [1, 9], "text": "x"},
        {"name": "lock", "label": "Lock", "kind": "bool", "default": True, "text": "x"},
    ]
    kept = offered["solve"][:]
    offered["solve"][:] = more
    try:
        group = solve.make_group()
        bpy.utils.register_class(group)
        bpy.types.Scene.motionlift_later = bpy.props.PointerProperty(type=group)
        later = bpy.context.scene.motionlift_later
        assert solve.values(later) == {"feet": "auto", "floor": None, "tries": 3, "lock": True}
        solve.adopt(later, {"feet": "never", "floor": 0.25, "tries": 4, "lock": False, "unknown": 1})
        assert solve.values(later) == {"feet": "never", "floor": 0.25, "tries": 4, "lock": False}
    finally:
        del bpy.types.Scene.motionlift_later
        bpy.utils.unregister_class(group)
        offered["solve"][:] = kept
