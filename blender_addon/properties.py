"""What the panels remember: property groups on the scene, in the order of the panels. `Scene.motionlift` holds them."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from . import solve_settings
from .environment.folder import lifter_sources
from .places import user_folder
from .retarget.blender.properties import RetargetProperties
from .retarget.presets import presets

EXPORTS = (
    (".fbx", "FBX", "For Unreal, Unity, Maya and most others"),
    (".glb", "glTF", "For engines and the web, in one file"),
    (".bvh", "BVH", "Bones and motion only"),
    (".usdc", "USD", "Universal Scene Description"),
)

RELATIVE = {"PATH_SUPPORTS_BLEND_RELATIVE"} if bpy.app.version >= (4, 5, 0) else set()
"""Options of properties with paths that may begin with //."""

Item = tuple[str, str, str, str, int]
_items: dict[str, list[Item]] = {}
"""Blender does not keep the texts of an enum's items alive: Python has to."""


def _kept(name: str, items: list[tuple[str, str, str]]) -> list[Item]:
    """Items with numbers that do not change when others come and go: the .blend holds the number. The first has 0."""
    numbered = [(*item, "NONE", crc32(item[0].encode()) >> 1 if i else 0) for i, item in enumerate(items)]
    if _items.get(name) != numbered:
        _items[name] = numbered
    return _items[name]


@cache
def shipped_checkpoints() -> tuple[str, ...]:
    """Names, the default first."""
    names = sorted(p.stem for p in (lifter_sources() / "lifter" / "checkpoints").glob("*.onnx"))
    return tuple(sorted(names, key=lambda n: n != "body")) or ("body",)


def model_folder() -> Path:
    """Where the user's own checkpoints lie."""
    from .preferences import preferences

    chosen = preferences().model_folder
    return Path(bpy.path.abspath(chosen)) if chosen else user_folder("models")


def checkpoint_items(_group: Any, _context: Any) -> list[Item]:
    """The shipped checkpoints by name, the user's own by path."""
    items = [(n, n.replace("_", " ").title(), "Comes with Motionlift") for n in shipped_checkpoints()]
    try:
        own = sorted(model_folder().glob("*.onnx"))
    except OSError:
        own = []
    items += [(str(p), p.stem, f"Your own: {p}") for p in own]
    return _kept("checkpoint", items)


def preset_items(_group: Any, _context: Any) -> list[Item]:
    known = sorted(presets().values(), key=lambda p: (p.name != "mixamo", p.label))
    items = [(p.name, p.label, f"Bones named as in {p.label}") for p in known]
    return _kept("preset", items)


class MotionliftFootage(bpy.types.PropertyGroup):
    """Which clip, which part of it, and through what lens it was taken."""

    clip: PointerProperty(
        type=bpy.types.MovieClip, name="Clip", description="The movie clip or image sequence with people in it"
    )
    use_range: BoolProperty(name="Only a Part", description="Capture a range of the clip's frames and not all of it")
    start: IntProperty(name="First", default=1, min=1, description="First frame to capture; 1 is the clip's first")
    end: IntProperty(name="Last", default=250, min=1, description="Last frame to capture")
    lens: EnumProperty(
        name="Lens",
        description="How wide the camera's lens is: depth and the way over the floor depend on it",
        items=(
            ("auto", "Auto", "What the file tells of its lens; else an ordinary lens of a phone or camera"),
            ("value", "Value", "A focal length, as photographers give it"),
            ("estimate", "Estimate", "What fits the people best: better than Auto with wide lenses only; takes longer"),
            ("solve", "Camera Solve", "The focal length that Blender's camera solve of this clip found"),
        ),
    )
    use_camera_path: BoolProperty(
        name="Moving Camera",
        description="The camera moved, and was tracked and solved in the Movie Clip Editor: its path and its lens are "
        "used, so that the motion stands still in the scene",
    )
    focal_mm: FloatProperty(
        name="Focal Length",
        default=35.0,
        min=5.0,
        soft_max=200.0,
        max=2000.0,
        step=100,
        precision=1,
        description="In millimetres, 35 mm equivalent: for a picture 36 mm wide. A phone's main camera has 24 to 28",
    )


DETECTORS = {
    "mediapipe": ("MediaPipe", "Comes with Motionlift"),
    "keypoints": ("Keypoint Files", "What another tool found: OpenPose, MMPose, AlphaPose, DeepLabCut and others"),
    "rtmpose": ("RTMPose", "Body, or body and feet, of everybody; its networks are fetched by a button"),
    "rtmw": ("RTMW", "Body, feet, face and hands of everybody; its networks are fetched by a button"),
    "rtmo": ("RTMO", "Bodies of everybody at once, in the same time for many; its network is fetched by a button"),
    "onnx": ("Own Model", "A network of your own, described by a TOML file (docs/detectors.md)"),
}
"""Name and description in the menu, by the lifter's name of a detector."""
WITH_FILE = ("keypoints", "onnx")
"""Detectors that are told a file."""
FINDING = ("rtmpose", "rtmw", "onnx")
"""Detectors that first find where people are, in every frame or in some."""
KEYPOINT_FILES = (".json", ".csv", ".h5", ".npy", ".npz", ".trc")
"""Ends of the names of files with keypoints."""


def networks(detector: str | None = None) -> list[dict[str, Any]]:
    """Networks that can be fetched, of one detector or all; the detector's usual one first."""
    return [n for n in solve_settings.offered()["networks"]["models"] if detector in (None, n["detector"])]


def network_property(detector: str) -> str:
    """Name of the property that says which network a detector runs."""
    return f"network_{detector}"


def detector_items() -> list[tuple[str, str, str]]:
    return [(d, *DETECTORS.get(d, (d.replace("_", " ").title(), ""))) for d in solve_settings.offered()["detectors"]]


class MotionliftCapture(bpy.types.PropertyGroup):
    """How footage becomes a take. The actor's height is a setting of solving."""

    detector: EnumProperty(name="Detector", description="What finds people in the picture", items=detector_items())
    detector_file: StringProperty(
        name="File",
        description="The keypoints that another tool found in this clip, a file or a folder; or the TOML file of "
        "your own network",
        subtype="FILE_PATH",
        options=RELATIVE,
    )
    checkpoint: EnumProperty(
        name="Checkpoint",
        description="The network that lifts the picture's points into 3D. Your own lie in the model folder "
        "(preferences)",
        items=checkpoint_items,
    )
    people: IntProperty(
        name="Look for", default=1, min=1, max=8, description="How many people to follow; one is fastest"
    )
    most_people: IntProperty(
        name="At Most",
        default=0,
        min=0,
        soft_max=8,
        description="So many people in a frame, the largest; 0 is everybody",
    )
    find_every: IntProperty(
        name="Find Every",
        default=1,
        min=1,
        soft_max=30,
        description="Look for people in every so-many-th frame, and follow their keypoints in between: faster, but "
        "newcomers wait, and who is lost stays lost until then",
    )
    every: EnumProperty(
        name="Frames",
        description="Which frames the detector looks at; in between, keypoints are followed in the pictures",
        items=(
            ("all", "All", "Every frame: most exact"),
            ("auto", "Twelve a Second", "At least twelve a second: nearly as exact, and faster with slow detectors"),
            *((str(n), f"Every {n}", "Motion that is faster than this is lost") for n in (2, 3, 4, 6, 10)),
        ),
    )
    whose: EnumProperty(
        name="Take",
        description="Which of the people that are seen come into the take",
        items=(
            ("all", "All", "Everybody who is seen"),
            ("most", "Most Visible", "The one who is seen in most frames"),
            ("numbers", "By Number", "Some, by the numbers that a take of all gives them; 1 is seen most"),
        ),
    )
    hands: EnumProperty(
        name="Hands",
        description="Whether fingers are captured, too. Hands that are not seen are relaxed",
        items=(
            ("auto", "Auto", "Of hands that are large enough in the picture"),
            ("on", "On", "Of all hands, however small"),
            ("off", "Off", "No fingers: capturing is faster"),
        ),
    )
    numbers: StringProperty(name="Numbers", default="1", description="Numbers of people with commas, such as 1, 3")


for _detector in dict.fromkeys(n["detector"] for n in networks() if n["detector"]):
    MotionliftCapture.__annotations__[network_property(_detector)] = EnumProperty(
        name="Network",
        description="What finds the keypoints: larger ones are surer and slower",
        items=[(n["name"], n["name"], f"Layout {n['layout']}, about {n['megabytes']} MB") for n in networks(_detector)],
    )


class MotionliftTake(bpy.types.PropertyGroup):
    """A take in the list: where its file is, and how good the capture was."""

    path: StringProperty(name="File", description="The .take.npz file", subtype="FILE_PATH", options=RELATIVE)
    clip: StringProperty(name="Clip", description="The footage it was captured from")
    people: IntProperty(name="People", description="How many people the take has")
    person: IntProperty(name="Person", default=1, min=1, description="Which person of the take to use; 1 is seen most")
    frames: IntProperty(name="Frames", description="Length of the take in frames")
    fps: FloatProperty(name="Frames a Second", description="Rate of the take")
    coverage: FloatProperty(
        name="Coverage", description="In how much of the take somebody is seen", subtype="FACTOR", min=0.0, max=1.0
    )
    confidence: FloatProperty(
        name="Confidence", description="How sure the detector was, on average", subtype="FACTOR", min=0.0, max=1.0
    )
    warnings: StringProperty(name="Warnings", description="What to look at, one a line")


class MotionliftSlot(bpy.types.PropertyGroup):
    """A row of the mapping: a bone that stands for a part of the body."""

    slot: StringProperty(name="Part", description="Part of the body")
    bone: StringProperty(name="Bone", description="Bone of the rig for this part; empty leaves the part out")
    confidence: FloatProperty(name="Confidence", description="How sure the automatic mapping was", min=0.0, max=1.0)


def is_armature(_group: Any, each: Any) -> bool:
    return each.type == "ARMATURE"


class MotionliftRetarget(RetargetProperties, bpy.types.PropertyGroup):
    """Which rig gets the take, and how."""

    armature: PointerProperty(
        type=bpy.types.Object,
        name="Rig",
        poll=is_armature,
        description="The armature to animate; if none is chosen, the active one or the only one in the scene",
    )
    mapping: EnumProperty(
        name="Mapping",
        description="How the rig's bones are recognised",
        items=(
            ("auto", "Auto", "By known rigs, bone names, and at last by the skeleton's shape"),
            ("preset", "Preset", "A known kind of rig"),
            ("file", "File", "A mapping that was saved"),
            ("list", "List", "The list below, which you can edit"),
        ),
    )
    preset: EnumProperty(name="Preset", description="The kind of rig", items=preset_items)
    mapping_file: StringProperty(
        name="Mapping File", description="A mapping file (.toml) of this rig", subtype="FILE_PATH", options=RELATIVE
    )
    rows: CollectionProperty(type=MotionliftSlot, name="Bones")
    row: IntProperty(name="Active Row", description="The row of the list that is chosen")
    fit_range: BoolProperty(
        name="Scene Range", default=True, description="Let the scene begin and end where the new animation does"
    )
    details: BoolProperty(name="Fingers and Twist", description="Show fingers and twist bones in the list too")


class MotionliftBatch(bpy.types.PropertyGroup):
    """Many clips, one rig."""

    source: EnumProperty(
        name="Clips",
        description="Which clips to capture",
        items=(
            ("folder", "Folder", "Every video file in a folder"),
            ("file", "This File", "Every movie clip in this .blend"),
        ),
    )
    folder: StringProperty(
        name="Folder", description="The folder with video files", subtype="DIR_PATH", options=RELATIVE
    )
    retarget: BoolProperty(
        name="Retarget", default=True, description="Put each take on the rig of the Retarget panel, as an action"
    )
    export: BoolProperty(name="Export", description="Write a file of the rig with each take")
    format: EnumProperty(name="Format", description="Kind of file to write", items=EXPORTS)
    output: StringProperty(
        name="Output",
        description="Folder for the exported files; empty: where the takes go",
        subtype="DIR_PATH",
        options=RELATIVE,
    )


class MotionliftExport(bpy.types.PropertyGroup):
    """A file of the rig with its animation."""

    format: EnumProperty(name="Format", description="Kind of file to write", items=EXPORTS)
    deform_only: BoolProperty(
        name="Only Deforming",
        description="Leave out controls and other bones that move no mesh (FBX and glTF)",
        default=True,
    )


MotionliftSolve = solve_settings.make_group()


def _redraw_overlay(_group: Any, _context: Any) -> None:
    from .takes import marks, overlay

    overlay.redraw()
    marks.redraw()


class MotionliftSettings(bpy.types.PropertyGroup):
    """All of a scene's settings and its takes."""

    footage: PointerProperty(type=MotionliftFootage)
    capture: PointerProperty(type=MotionliftCapture)
    solve: PointerProperty(type=MotionliftSolve)
    takes: CollectionProperty(type=MotionliftTake, name="Takes")
    take: IntProperty(
        name="Active Take", description="The take that is previewed, solved and retargeted", update=_redraw_overlay
    )
    match_time: BoolProperty(
        name="Scene Rate and Range",
        default=True,
        description="Previews also set the scene's frame rate and range to the take's",
    )
    show_overlay: BoolProperty(
        name="Overlay",
        description="Draw the take over its clip, in the Movie Clip Editor",
        default=True,
        update=_redraw_overlay,
    )
    show_marks: BoolProperty(
        name="Repairs",
        description="Draw gaps, filled frames, outliers and exchanged sides of the take along the timeline, and say in "
        "the 3D view what is marked at the frame at hand",
        default=True,
        update=_redraw_overlay,
    )
    retarget: PointerProperty(type=MotionliftRetarget)
    batch: PointerProperty(type=MotionliftBatch)
    export: PointerProperty(type=MotionliftExport)


CLASSES = (
    MotionliftFootage,
    MotionliftCapture,
    MotionliftTake,
    MotionliftSlot,
    MotionliftRetarget,
    MotionliftBatch,
    MotionliftExport,
    MotionliftSolve,
    MotionliftSettings,
)


def focal_to_fov(focal_mm: float) -> float:
    """Angle of view in degrees along the longer side of a picture that is 36 mm wide."""
    return math.degrees(2 * math.atan(18.0 / focal_mm))
