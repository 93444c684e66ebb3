"""Video to 3D human motion: footage, detection, tracking, lifting, world motion, solving. No bpy in here.

take = lifter.capture("clip.mp4", height=1.75)
lifter.save_take(take, "clip.take.npz")
"""

from .capture import SolveSettings, capture, lift_keypoints, solve
from .errors import MotionliftError
from .take import Camera, Person, Take, load_take, save_take

__version__ = "0.1.0"

__all__ = [
    "Camera",
    "MotionliftError",
    "Person",
    "SolveSettings",
    "Take",
    "capture",
    "lift_keypoints",
    "load_take",
    "save_take",
    "solve",
]
