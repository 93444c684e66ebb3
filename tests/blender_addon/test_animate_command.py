"""`motionlift animate TAKE --rig FILE`: files in and out, options, and one line for each thing that is wrong."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

from lifter.cli import main

from .armatures import build_armature
from .make_take import write_take
from .rigs import build_rig
from .test_put_on_rig import curves


@pytest.fixture
def take(tmp_path: Path) -> str:
    write_take(tmp_path / "walk.take.npz", frames=30)
    return str(tmp_path / "walk.take.npz")


@pytest.fixture
def rig(tmp_path: Path) -> str:
    return save_rig(tmp_path, "mixamo")


def save_rig(folder: Path, name: str) -> str:
    armature = build_armature(build_rig(name))
    armature.name = "Hero"
    bpy.context.scene.render.fps = 24
    path = folder / f"{name}.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    return str(path)


def opened(path: Path) -> Any:
    bpy.ops.wm.open_mainfile(filepath=str(path))
    return bpy.data.objects["Hero"]


def fails(capfd: pytest.CaptureFixture[str], folder: Path, *arguments: str) -> str:
    """A command that must fail with one line and leave every file as it was."""
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    capfd.readouterr()
    assert main(["animate", *arguments]) == 2
    said = [line for line in capfd.readouterr().err.splitlines() if line.startswith("motionlift: ")]
    assert len(said) == 1, said
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
    return said[0]


def test_a_take_goes_onto_a_rig(take: str, rig: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    untouched = Path(rig).read_bytes()
    out = tmp_path / "out.blend"
    assert main(["animate", take, "--rig", f"{rig}:Hero", "-o", str(out)]) == 0
    said = capfd.readouterr().out
    assert "preset mixamo" in said and str(out) in said
    assert Path(rig).read_bytes() == untouched
    hero = opened(out)
    action = hero.animation_data.action
    assert action.name == "walk"
    assert tuple(action.frame_range) == (1, 30)
    assert (bpy.context.scene.frame_start, bpy.context.scene.frame_end) == (1, 30)
    seen = []
    for frame in (1, 15, 30):
        bpy.context.scene.frame_set(frame)
        seen.append(np.array(hero.pose.bones["mixamorig:LeftArm"].matrix))
    assert np.abs(seen[0] - seen[1]).max() > 0.05 and np.abs(seen[1] - seen[2]).max() > 0.05


def test_a_saved_mapping_edited_by_hand_is_used(
    take: str, rig: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "hero.toml", tmp_path / "out.blend"
    saved = ["--save-mapping", str(file), "--show-mapping"]
    assert main(["animate", take, "--rig", rig, "-o", str(out), *saved]) == 0
    assert "mixamorig:Hips" in capfd.readouterr().out
    text = file.read_text(encoding="utf-8")
    assert tomllib.loads(text)["bones"]["head"] == "mixamorig:Head"
    edited = "\n".join(line for line in text.splitlines() if not line.startswith("head "))
    file.write_text(edited, encoding="utf-8")
    assert main(["animate", take, "--rig", rig, "-o", str(out), "--mapping", str(file)]) == 0
    said = capfd.readouterr().out
    assert "mapping: file" in said
    assert "warning: Nothing was found for head." in said
    keyed = {c.data_path for c in curves(opened(out).animation_data.action)}
    assert not any("mixamorig:Head" in path for path in keyed)
    assert any("mixamorig:Neck" in path for path in keyed)


def test_options_reach_the_keys(take: str, rig: str, tmp_path: Path) -> None:
    out = tmp_path / "out.blend"

    def animated(*options: str) -> dict[str, np.ndarray]:
        """(C, K, 2) frames and values of the keys of each property."""
        assert main(["animate", take, "--rig", rig, "-o", str(out), *options]) == 0
        found: dict[str, list[list[Any]]] = {}
        for curve in curves(opened(out).animation_data.action):
            found.setdefault(curve.data_path, []).append([list(k.co) for k in curve.keyframe_points])
        return {path: np.array(keys) for path, keys in found.items()}

    hips = 'pose.bones["mixamorig:Hips"].location'
    plain, still = animated("--no-foot-lock"), animated("--root", "in-place", "--no-foot-lock")
    walked = np.ptp(plain[hips][..., 1], axis=1).max()
    assert walked > 0.5
    assert np.ptp(still[hips][..., 1], axis=1).max() < 0.2
    wide = animated("--stride", "2", "--no-foot-lock")
    assert np.ptp(wide[hips][..., 1], axis=1).max() > 1.6 * walked
    thin = animated("--step", "10")
    assert thin[hips][0, :, 0].tolist() == [1, 11, 21, 30]
    few = animated("--reduce", "5", "50", "--no-foot-lock")
    assert sum(k.size for k in few.values()) < 0.7 * sum(k.size for k in plain.values())
    finger, hand = (f'pose.bones["mixamorig:Left{n}"].rotation_quaternion' for n in ("HandIndex1", "Hand"))
    assert finger in plain
    bare = animated("--no-fingers")
    assert hand in bare and finger not in bare
    # Both forearms have the same axes in this rig, and the clip is no mirror image of itself.
    left, right = (f'pose.bones["mixamorig:{s}ForeArm"].rotation_quaternion' for s in ("Left", "Right"))
    mirrored = animated("--mirror", "--no-foot-lock")
    assert np.allclose(np.abs(plain[left][..., 1]), np.abs(mirrored[right][..., 1]), atol=1e-3)
    assert np.abs(np.abs(plain[left][..., 1]) - np.abs(plain[right][..., 1])).max() > 0.1


def test_an_nla_track_on_request(take: str, rig: str, tmp_path: Path) -> None:
    out = tmp_path / "out.blend"
    assert main(["animate", take, "--rig", rig, "-o", str(out), "--nla"]) == 0
    assert [t.strips[0].action.name for t in opened(out).animation_data.nla_tracks] == ["walk"]


def test_bad_input_is_told_in_one_line(take: str, rig: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out.blend")
    assert "no such" in fails(capfd, tmp_path, "nowhere.take.npz", "--rig", rig, "-o", out).lower()
    assert "Hera" in fails(capfd, tmp_path, take, "--rig", f"{rig}:Hera", "-o", out)
    assert "own file" in fails(capfd, tmp_path, take, "--rig", rig, "-o", rig)
    assert "person 4" in fails(capfd, tmp_path, take, "--rig", rig, "-o", out, "--person", "4")
    assert "no root bone" in fails(capfd, tmp_path, take, "--rig", rig, "-o", out, "--root", "bone")
    assert 'no preset "mixmo"' in fails(capfd, tmp_path, take, "--rig", rig, "-o", out, "--mapping", "mixmo")
    said = fails(capfd, tmp_path, take, "--rig", rig, "-o", out, "--mapping", "ue5")
    assert "no bones in common" in said
    other = tmp_path / "other.toml"
    other.write_text('[bones]\npelvis = "pelvis"\nhead = "head"\n', encoding="utf-8")
    said = fails(capfd, tmp_path, take, "--rig", rig, "-o", out, "--mapping", str(other))
    assert "other.toml" in said and "no bones in common" in said


def test_a_file_without_an_armature(take: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "empty.blend"))
    out = str(tmp_path / "out.blend")
    assert "no armature" in fails(capfd, tmp_path, take, "--rig", str(tmp_path / "empty.blend"), "-o", out)
