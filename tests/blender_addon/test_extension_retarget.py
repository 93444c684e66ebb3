"""Retargeting, batches, exports and the headless command by the operators."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

from .armatures import add_armature
from .extension import module, refused, user_folder
from .make_take import write_take
from .rigs import build
from .test_put_on_rig import curves


@pytest.fixture
def taken(scene: Any, tmp_path: Path) -> Any:
    """A saved file with one take in the list."""
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    write_take(tmp_path / "walk.take.npz", frames=20)
    bpy.ops.motionlift.add_take(filepath=str(tmp_path / "walk.take.npz"))
    return bpy.context.scene


def keyed(rig: Any) -> set[str]:
    return {c.data_path.split('"')[1] for c in curves(rig.animation_data.action) if '"' in c.data_path}


def test_mixamo_by_two_clicks(taken: Any) -> None:
    """Nothing is chosen but what is there: the only take, the only rig."""
    rig = add_armature(build("mixamo").rig)
    rest = [b.matrix_local.copy() for b in rig.data.bones]
    assert bpy.ops.motionlift.retarget() == {"FINISHED"}
    assert {"mixamorig:Hips", "mixamorig:LeftForeArm", "mixamorig:RightFoot"} <= keyed(rig)
    assert "preset mixamo" in module("notices").shown("retarget")[-1].text
    assert [b.matrix_local for b in rig.data.bones] == rest
    assert (taken.frame_start, taken.frame_end) == (1, 20)


def test_rigify(taken: Any) -> None:
    import addon_utils

    addon_utils.enable("rigify", default_set=True)
    bpy.ops.object.armature_basic_human_metarig_add()
    metarig = bpy.context.object
    bpy.ops.pose.rigify_generate()
    rig = next(o for o in taken.objects if o.type == "ARMATURE" and o != metarig)
    settings = taken.motionlift.retarget
    settings.armature, settings.legs = rig, "ik"
    assert bpy.ops.motionlift.retarget() == {"FINISHED"}
    assert {"torso", "foot_ik.L", "forearm_fk.R"} <= keyed(rig)
    settings.arms, settings.legs = "ik", "fk"
    assert bpy.ops.motionlift.retarget() == {"FINISHED"}
    assert {"torso", "thigh_fk.L", "hand_ik.R"} <= keyed(rig)


def test_fingers_can_be_left_alone(taken: Any) -> None:
    rig = add_armature(build("mixamo").rig)
    settings = taken.motionlift.retarget
    assert settings.fingers and bpy.ops.motionlift.retarget() == {"FINISHED"}
    assert "mixamorig:LeftHandIndex1" in keyed(rig)
    settings.fingers = False
    assert bpy.ops.motionlift.retarget() == {"FINISHED"}
    assert "mixamorig:LeftHand" in keyed(rig) and not any("HandIndex" in n for n in keyed(rig))


def test_the_operators_own_properties_win_over_the_panel(taken: Any) -> None:
    rig = add_armature(build("mixamo").rig)
    taken.motionlift.retarget.step = 5
    bpy.ops.motionlift.retarget()
    assert len(curves(rig.animation_data.action)[0].keyframe_points) == 5  # 0, 5, 10, 15 and the last
    bpy.ops.motionlift.retarget(step=10)
    assert len(curves(rig.animation_data.action)[0].keyframe_points) == 3


def test_rig_without_legs_is_told_and_keyed(taken: Any) -> None:
    rig = build("mixamo").rig
    legless = add_armature(without(rig, ("Leg", "Foot", "Toe")))
    assert bpy.ops.motionlift.retarget() == {"FINISHED"}
    told = [n.text for n in module("notices").shown("retarget") if n.kind == "WARNING"]
    assert any("No legs were found" in t for t in told), told
    assert "mixamorig:LeftArm" in keyed(legless)


def without(rig: Any, words: tuple[str, ...]) -> Any:
    """The rig without bones whose name holds one of the words."""
    from dataclasses import fields, replace

    import numpy as np

    kept = [i for i, n in enumerate(rig.names) if not any(w in n for w in words)]
    changed: dict[str, Any] = {}
    for each in fields(rig):
        value = getattr(rig, each.name)
        if isinstance(value, np.ndarray) and len(value) == len(rig.names) and each.name != "world":
            changed[each.name] = value[kept]
        elif isinstance(value, tuple) and len(value) == len(rig.names):
            changed[each.name] = tuple(value[i] for i in kept)
    changed["parents"] = tuple(kept.index(rig.parents[i]) if rig.parents[i] >= 0 else -1 for i in kept)
    return replace(rig, **changed)


def test_no_rig_and_not_a_humanoid(taken: Any) -> None:
    assert not bpy.ops.motionlift.retarget.poll()
    data = bpy.data.armatures.new("Stick")
    stick = bpy.data.objects.new("Stick", data)
    taken.collection.objects.link(stick)
    said = refused(bpy.ops.motionlift.retarget)
    assert said.rstrip(".").count(".") >= 1 and stick.animation_data is None


def test_edit_list_save_and_use_the_file(taken: Any, tmp_path: Path) -> None:
    rig = add_armature(build("mixamo").rig)
    settings = taken.motionlift.retarget
    assert bpy.ops.motionlift.find_mapping() == {"FINISHED"}
    assert settings.mapping == "list"
    rows = {r.name: r for r in settings.rows}
    assert rows["Left Upper Arm"].bone == "mixamorig:LeftArm" and rows["Left Upper Arm"].confidence == 1.0
    assert sum(r.slot == "spine" for r in settings.rows) == 3
    settings.row = next(i for i, r in enumerate(settings.rows) if r.slot == "head")
    assert bpy.ops.motionlift.add_bone() == {"FINISHED"} and settings.rows[settings.row].slot == "head"
    next(r for r in settings.rows if r.name == "Left Toe").bone = ""
    assert bpy.ops.motionlift.retarget() == {"FINISHED"}
    assert "mixamorig:LeftToeBase" not in keyed(rig) and "mixamorig:RightToeBase" in keyed(rig)
    bpy.ops.motionlift.save_mapping(filepath=str(tmp_path / "hero.toml"))
    settings.mapping = "file"
    assert settings.mapping_file == str(tmp_path / "hero.toml")
    assert bpy.ops.motionlift.retarget() == {"FINISHED"} and "mixamorig:LeftToeBase" not in keyed(rig)
    settings.mapping, settings.preset = "preset", "ue5"
    assert "no bones in common" in refused(bpy.ops.motionlift.retarget)
    settings.mapping = "list"
    settings.rows[settings.row].bone = "mixamorig:Hips"
    assert "Clear one of the two" in refused(bpy.ops.motionlift.retarget)
    settings.rows[settings.row].bone = "gone"
    assert 'no bone "gone"' in refused(bpy.ops.motionlift.retarget)


def test_save_mapping_proposes_the_users_folder(taken: Any) -> None:
    assert user_folder("mappings").is_dir()


def test_undo_takes_back_each_step(taken: Any, tmp_path: Path, demo_clip: Path) -> None:
    """Everything that changes the file is one undo step; what is looked at before and after it is a string."""
    rig = add_armature(build("mixamo").rig).name
    write_take(tmp_path / "run.take.npz")
    ops = bpy.ops.motionlift
    steps: list[tuple[Any, dict[str, Any]]] = [
        (ops.open_footage, {"filepath": str(demo_clip)}),
        (ops.add_take, {"filepath": str(tmp_path / "run.take.npz")}),
        (ops.retarget, {}),
        (ops.find_mapping, {}),
        (ops.add_bone, {}),
        (ops.preview, {}),
        (ops.match_camera, {}),
        (ops.find_take, {"filepath": str(tmp_path / "walk.take.npz")}),
        (ops.remove_take, {}),
    ]
    bpy.context.preferences.edit.use_global_undo = True
    bpy.ops.ed.undo_push(message="before")
    for operator, properties in steps:
        before = state(rig)
        assert operator("EXEC_DEFAULT", True, **properties) == {"FINISHED"}, operator.idname()
        after = state(rig)
        assert before != after, operator.idname()
        bpy.ops.ed.undo()
        assert state(rig) == before, operator.idname()
        bpy.ops.ed.redo()
        assert state(rig) == after, operator.idname()


def state(rig: str) -> tuple[Any, ...]:
    """What operators change, as plain values."""
    settings = bpy.context.scene.motionlift
    data = bpy.data.objects[rig].animation_data
    clip = settings.footage.clip
    return (
        clip.name if clip else None,
        [(t.name, t.path) for t in settings.takes],
        settings.take,
        [(r.slot, r.bone) for r in settings.retarget.rows],
        data.action.name if data and data.action else None,
        sorted(o.name for o in bpy.data.objects),
        sorted(a.name for a in bpy.data.actions),
    )


@pytest.mark.parametrize("suffix", [".fbx", ".glb", ".bvh", ".usdc"])
def test_export_writes_and_leaves_the_selection(taken: Any, tmp_path: Path, suffix: str) -> None:
    rig = add_armature(build("mixamo").rig)
    other = bpy.data.objects.new("Other", None)
    taken.collection.objects.link(other)
    assert "Retarget first" in refused(bpy.ops.motionlift.export, filepath=str(tmp_path / f"a{suffix}"))
    bpy.ops.motionlift.retarget()
    rig.select_set(False)
    other.select_set(True)
    bpy.context.view_layer.objects.active = other
    assert bpy.ops.motionlift.export(filepath=str(tmp_path / f"a{suffix}")) == {"FINISHED"}
    assert (tmp_path / f"a{suffix}").stat().st_size > 1000
    assert other.select_get() and not rig.select_get() and bpy.context.view_layer.objects.active == other
    said = refused(bpy.ops.motionlift.export, filepath=str(tmp_path / "no" / f"a{suffix}"))
    assert "folder" in said


def test_batch_of_a_folder_with_a_bad_clip(taken: Any, worker: None, demo_clip: Path, tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    make_short(demo_clip, clips / "a.mp4")
    (clips / "b.mp4").write_bytes(b"no video")
    shutil.copy(clips / "a.mp4", clips / "c.mp4")
    rig = add_armature(build("mixamo").rig)
    batch = taken.motionlift.batch
    batch.folder, batch.export, batch.format, batch.output = str(clips), True, ".fbx", str(tmp_path / "out")
    assert bpy.ops.motionlift.batch() == {"FINISHED"}
    assert [t.name for t in taken.motionlift.takes] == ["walk", "a", "c"]
    assert {"a", "c"} <= {a.name for a in bpy.data.actions if a.use_fake_user}
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.fbx", "c.fbx"]
    assert rig.animation_data.action.name == "c"
    (bad,) = [n for n in module("notices").shown("batch") if n.kind == "ERROR"]
    assert "b.mp4" in bad.text and bad.remedy


def make_short(source: Path, target: Path, frames: int = 15) -> None:
    """The first frames of a video, as a video."""
    import os
    import subprocess

    code = (
        "import sys, cv2\n"
        "video = cv2.VideoCapture(sys.argv[1])\n"
        "frames = [video.read()[1] for _ in range(int(sys.argv[3]))]\n"
        "size = frames[0].shape[1::-1]\n"
        "out = cv2.VideoWriter(sys.argv[2], cv2.VideoWriter_fourcc(*'mp4v'), 30, size)\n"
        "[out.write(f) for f in frames]\n"
        "out.release()\n"
    )
    python = os.environ["MOTIONLIFT_PYTHON"]
    subprocess.run([python, "-c", code, str(source), str(target), str(frames)], check=True)


def test_batch_says_what_is_missing(taken: Any, worker: None, tmp_path: Path) -> None:
    batch = taken.motionlift.batch
    batch.retarget = False
    assert "No folder is chosen" in refused(bpy.ops.motionlift.batch)
    batch.folder = str(tmp_path / "no")
    assert "cannot be read" in refused(bpy.ops.motionlift.batch)
    batch.folder = str(tmp_path)
    assert "no video file" in refused(bpy.ops.motionlift.batch)


# blender --command motionlift


def test_headless_capture_and_retarget(scene: Any, worker: None, demo_clip: Path, tmp_path: Path, capsys: Any) -> None:
    add_armature(build("mixamo").rig)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "hero.blend"))
    main = module("headless").main
    take, out = tmp_path / "dance.take.npz", tmp_path / "hero.fbx"
    options = ["--end", "0.5", "--height", "1.8", "--every", "2", "--hands", "off", "--detector", "mediapipe"]
    assert main(["capture", str(demo_clip), "-o", str(take), *options]) == 0
    assert module("takes.summary").read_settings(take)["height"] == 1.8
    with np.load(take, allow_pickle=False) as arrays:
        assert json.loads(str(arrays["header"]))["detector"]["every"] == 2
    assert main(["retarget", str(take), "--rig", str(tmp_path / "hero.blend"), "-o", str(out)]) == 0
    assert out.stat().st_size > 1000
    for words, has in (([], True), (["--no-fingers"], False)):
        saved = tmp_path / "out.blend"
        assert main(["retarget", str(take), "--rig", str(tmp_path / "hero.blend"), "-o", str(saved), *words]) == 0
        bpy.ops.wm.open_mainfile(filepath=str(saved))
        names = keyed(next(o for o in bpy.data.objects if o.type == "ARMATURE"))
        assert "mixamorig:LeftHand" in names and ("mixamorig:LeftHandIndex1" in names) == has
    assert main(["capture", str(tmp_path / "no.mp4"), "-o", str(take)]) == 2
    assert "no.mp4" in capsys.readouterr().err
    assert main(["retarget", str(take), "--rig", str(tmp_path / "no.blend"), "-o", str(out)]) == 2
    assert main(["nonsense"]) == 2


def test_headless_batch(scene: Any, worker: None, demo_clip: Path, tmp_path: Path, capsys: Any) -> None:
    add_armature(build("mixamo").rig)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "hero.blend"))
    (tmp_path / "clips").mkdir()
    make_short(demo_clip, tmp_path / "clips" / "a.mp4")
    (tmp_path / "clips" / "b.mp4").write_bytes(b"no video")
    batch = ["batch", str(tmp_path / "clips"), "-o", str(tmp_path / "out"), "--rig", str(tmp_path / "hero.blend")]
    assert module("headless").main([*batch, "--jobs", "1"]) == 1
    made = [".motionlift", "a.blend", "a.take.npz", "batch.html", "batch.json"]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == made
    said = capsys.readouterr().out
    assert "b.mp4: not a video" in said and "1 of 2 clips are done" in said
    (tmp_path / "clips" / "b.mp4").unlink()
    written = (tmp_path / "out" / "a.blend").stat().st_mtime_ns
    assert module("headless").main(batch) == 0
    assert "1 of 1 clips are done (1 were before)" in capsys.readouterr().out
    assert (tmp_path / "out" / "a.blend").stat().st_mtime_ns == written
