"""A rig's file in, .blend, .fbx, .glb, .bvh or .usd out: the same motion when it is read again; bad files are told."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest

from blender_addon.animate import animate, animate_rig
from blender_addon.files import open_rig, split_rig, write_output
from blender_addon.retarget.blender.apply import KeySettings
from blender_addon.retarget.rig import RigError
from blender_addon.take_file import TakeError

from .armatures import add_armature, build_armature
from .make_take import write_take
from .rigs import build, build_rig


@pytest.fixture
def take(tmp_path: Path) -> Path:
    write_take(tmp_path / "walk.take.npz", frames=20)
    return tmp_path / "walk.take.npz"


@pytest.fixture
def rig(tmp_path: Path) -> Path:
    """A character of a mesh on a Mixamo-named armature."""
    armature = build_armature(build_rig("mixamo"))
    mesh = bpy.data.meshes.new("skin")
    mesh.from_pydata([(0, 0, 1), (0.1, 0, 1), (0, 0, 1.1)], [], [(0, 1, 2)])
    skin = bpy.data.objects.new("skin", mesh)
    bpy.context.scene.collection.objects.link(skin)
    skin.vertex_groups.new(name="mixamorig:Hips").add([0, 1, 2], 1.0, "REPLACE")
    skin.parent = armature
    skin.modifiers.new("Armature", "ARMATURE").object = armature
    bpy.context.scene.render.fps = 24
    path = tmp_path / "hero.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    return path


def joints(armature: object, frames: list[int]) -> dict[str, np.ndarray]:
    """Heads of some bones in the scene, by name without prefix."""
    names = ("Hips", "LeftHand", "RightFoot", "Head")
    out: dict[str, list[np.ndarray]] = {n: [] for n in names}
    for frame in frames:
        bpy.context.scene.frame_set(frame)
        for bone in armature.pose.bones:
            short = bone.name.replace("_", ":").split(":")[-1]
            if short in out:
                out[short].append(np.array(armature.matrix_world @ bone.head))
    return {n: np.array(p) for n, p in out.items()}


@pytest.mark.parametrize("suffix", [".blend", ".fbx", ".glb", ".bvh", ".usd"])
def test_the_motion_survives_the_file(suffix: str, take: Path, rig: Path, tmp_path: Path) -> None:
    before = rig.read_bytes()
    out = tmp_path / f"out{suffix}"
    report = animate_rig(take, rig, out)
    assert rig.read_bytes() == before
    assert report.mapping.found_by == "preset mixamo"
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted({"walk.take.npz", "hero.blend", out.name})
    frames = [1, 7, 20]
    wanted = joints(bpy.data.objects["mixamo"], frames)
    if suffix == ".usd":
        bpy.ops.wm.read_factory_settings(use_empty=True)
        bpy.ops.wm.usd_import(filepath=str(out))
        armature = next(o for o in bpy.context.scene.objects if o.type == "ARMATURE")
    elif suffix == ".bvh":  # Blender writes its own Z up, and takes other people's files to be Y up
        bpy.ops.wm.read_factory_settings(use_empty=True)
        bpy.ops.import_anim.bvh(filepath=str(out), axis_forward="Y", axis_up="Z")
        armature = bpy.context.object
    else:
        armature = open_rig(str(out))
    # Importers begin at frame 0 or 1.
    first = int(armature.animation_data.action.frame_range[0])
    got = joints(armature, [f - 1 + first for f in frames])
    assert set(got) == set(wanted)
    for name in wanted:
        assert np.abs(got[name] - wanted[name]).max() < 2e-3, (name, suffix)
    if suffix in (".fbx", ".glb", ".usd", ".blend"):
        assert any(o.type == "MESH" and o.find_armature() for o in bpy.context.scene.objects), "the skin came along"


def test_a_rig_from_other_formats(take: Path, rig: Path, tmp_path: Path) -> None:
    animate_rig(take, rig, tmp_path / "hero.fbx")
    report = animate_rig(take, tmp_path / "hero.fbx", tmp_path / "again.blend", keys=KeySettings(step=2))
    assert report.mapping.found_by == "preset mixamo"


def test_the_performers_own_armature_in_other_formats(take: Path, tmp_path: Path) -> None:
    for suffix in (".glb", ".bvh"):
        animate(take, tmp_path / f"own{suffix}")
        armature = open_rig(str(tmp_path / f"own{suffix}"))
        assert {"pelvis", "l_hand"} <= {b.name for b in armature.data.bones}


def test_context_of_a_file_closed_since(tmp_path: Path) -> None:
    """Blender 4.2 kept the scene whose layer collection was read last, and crashed in glTF once that was freed."""
    handlers = bpy.app.handlers.load_post[:]
    bpy.app.handlers.load_post.clear()
    try:
        _ = bpy.context.layer_collection
        bpy.ops.wm.read_factory_settings(use_empty=True)
        armature = build_armature(build("mixamo").rig)
    finally:
        bpy.app.handlers.load_post[:] = handlers
    write_output(tmp_path / "rig.glb", [armature])
    assert bpy.context.id_data in (None, bpy.context.scene)
    open_rig(str(tmp_path / "rig.glb"))
    assert bpy.context.id_data in (None, bpy.context.scene)


def test_paths_with_colons() -> None:
    assert split_rig("C:\\rigs\\hero.blend:My Hero") == (Path("C:\\rigs\\hero.blend"), "My Hero")
    assert split_rig("hero.Blend") == (Path("hero.Blend"), None)


def test_bad_rig_files(take: Path, rig: Path, tmp_path: Path) -> None:
    def refuse(text: str, match: str) -> None:
        with pytest.raises(RigError, match=match):
            animate_rig(take, text, tmp_path / "out.blend")
        assert not (tmp_path / "out.blend").exists()

    refuse(str(tmp_path / "none.blend"), "no such file")
    (tmp_path / "broken.blend").write_bytes(b"BLENDER-v405" + bytes(50))
    refuse(str(tmp_path / "broken.blend"), "cannot open it|no armature")
    (tmp_path / "text.txt").write_text("hello")
    refuse(str(tmp_path / "text.txt"), "not a file of a rig")
    refuse(f"{rig}:Nobody", 'no armature called "Nobody". The scene has: mixamo')
    build_armature(build("mixamo").rig)
    add_armature(build("ue4").rig)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "two.blend"))
    refuse(str(tmp_path / "two.blend"), "several armatures.*mixamo, ue4")
    animate_rig(take, f"{tmp_path / 'two.blend'}:ue4", tmp_path / "chosen.blend")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "empty.blend"))
    refuse(str(tmp_path / "empty.blend"), "no armature in the scene")


def test_bad_outputs(take: Path, rig: Path, tmp_path: Path) -> None:
    with pytest.raises(TakeError, match="rig's own file"):
        animate_rig(take, rig, rig)
    with pytest.raises(TakeError, match="cannot write such a file"):
        animate_rig(take, rig, tmp_path / "out.mp3")
    with pytest.raises(TakeError, match="does not exist"):
        animate_rig(take, rig, tmp_path / "nowhere" / "out.fbx")
