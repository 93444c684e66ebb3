"""Video to 3D human motion: footage, detection, tracking, lifting, world motion, solving. No bpy in here.

take = lifter.capture("clip.mp4", height=1.75)
lifter.save_take(take, "clip.take.npz")
"""

from .errors import MotionliftError

try:
    from .camera_path import CameraPath, make_camera_path
    from .capture import SolveSettings, capture, lift_keypoints, solve
    from .take import Camera, Person, Take, load_take, save_take
except ImportError as error:
    # A package is missing or broken. `motionlift doctor` must run all the same, and say which.
    _broken = str(error)

    def __getattr__(name: str) -> object:
        if name in __all__:
            raise MotionliftError(
                f"lifter.{name} needs a package that cannot be loaded ({_broken})", "Run `motionlift doctor`"
            )
        raise AttributeError(f"module 'lifter' has no attribute {name!r}")


__version__ = "0.1.0"

__all__ = [
    "Camera",
    "CameraPath",
    "MotionliftError",
    "Person",
    "SolveSettings",
    "Take",
    "capture",
    "lift_keypoints",
    "load_take",
    "make_camera_path",
    "save_take",
    "solve",
]
