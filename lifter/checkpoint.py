"""A checkpoint: an ONNX file that carries its skeleton, input convention and model card in its metadata."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from .device import open_session
from .errors import MotionliftError
from .skeleton import Skeleton, skeleton_from_dict

FOLDER = Path(__file__).parent / "checkpoints"
CONVENTION = "follow-camera-1"
"""The virtual camera that follows the person (lifter/camera.py), as the network was trained with."""

SCREEN, IMAGE = "screen-1", "image-1"
"""The published protocols' plain screen coordinates (lifter/nets/screen.py); joints in metres, or in the image's own
coordinates, which need a true scale and are for comparisons alone."""


@dataclass(frozen=True)
class Checkpoint:
    """A lifting network ready to run.

    Attributes:
        convention: what its input and output mean: CONVENTION, SCREEN or IMAGE.
        channels: of a joint in the input; 3 with confidence. Of SCREEN and IMAGE alone.
        skeleton: what it predicts.
        fps: the frame rate that it was trained at.
        reach: frames on either side that a frame's result depends on.
        window: frames that it takes at most; None for any number.
        sigma: offset and slope that bring the network's logarithm of sigma to the errors that it makes.
        card: data, licences, protocol and measured errors.
    """

    name: str
    path: Path
    convention: str
    channels: int
    skeleton: Skeleton
    fps: float
    reach: int
    window: int | None
    card: dict[str, Any]
    session: Any
    sigma: tuple[float, float] = (0.0, 1.0)

    def run(
        self, rays: NDArray[np.float32], score: NDArray[np.float32], size: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """One forward pass; shapes as in lifter/nets/temporal_mixer.py.

        Raises MotionliftError for a checkpoint of the published protocols, which knows no virtual camera.
        """
        if self.convention != CONVENTION:
            raise MotionliftError(
                f"{self.name} was trained for a published protocol ({self.convention}), not for capturing",
                "Choose a checkpoint that was trained on filmed motion, such as body",
            )
        joints, log_sigma, contact, down = cast(
            list[NDArray[np.float32]], self.session.run(None, {"rays": rays, "score": score, "size": size})
        )
        offset, slope = self.sigma
        return joints, (offset + slope * log_sigma).astype(np.float32), contact, down

    def run_screen(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """One forward pass of SCREEN or IMAGE: (B, T, J, channels) to (B, T, J, 3)."""
        return cast(NDArray[np.float32], self.session.run(None, {"x": x})[0])

    @cached_property
    def importance(self) -> NDArray[np.float32]:
        return middle_weights(self.skeleton)


def middle_weights(skeleton: Skeleton) -> NDArray[np.float32]:
    """(J,) weight of each joint in the middle of a person: hips and shoulders, which every layout has."""
    torso = {"l_hip", "r_hip", "l_shoulder", "r_shoulder"}
    return np.array([4.0 if n in torso else 0.5 for n in skeleton.joint_names], np.float32)


def load_checkpoint(name: str = "body", threads: int = 0, device: str = "auto") -> Checkpoint:
    """A shipped checkpoint by name, or one of the user's own by the path of its .onnx file.

    `device` is one of lifter/device.py. Raises MotionliftError for a file that is missing, damaged, or not a
    Motionlift checkpoint.
    """
    path = Path(name) if name.endswith(".onnx") else FOLDER / f"{name}.onnx"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in FOLDER.glob("*.onnx"))) or "none"
        raise MotionliftError(f"No checkpoint {name!r}", f"Shipped ones: {known}; or give the path of an .onnx file")
    try:
        session = open_session(path, device, threads)
        meta = dict(session.get_modelmeta().custom_metadata_map)
    except MotionliftError:
        raise
    except Exception as error:  # ONNX Runtime raises several unrelated types of its own
        raise MotionliftError(f"{path}: damaged, or not an ONNX file", "Get the checkpoint again") from error
    if "motionlift" not in meta:
        raise MotionliftError(
            f"{path}: an ONNX file, but not a Motionlift checkpoint", "Export it with training.export"
        )
    header = cast(dict[str, Any], json.loads(meta["motionlift"]))
    known = (CONVENTION, SCREEN, IMAGE)
    if header.get("convention") not in known:
        raise MotionliftError(
            f"{path}: its input convention is {header.get('convention')!r}, this version knows {', '.join(known)}",
            "Update Motionlift or export the checkpoint again",
        )
    skeleton = skeleton_from_dict(header["skeleton"], str(path))
    joints = {i.name: i.shape[-1] for i in session.get_inputs()}.get("score")
    if isinstance(joints, int) and joints != len(skeleton.joint_names):
        raise MotionliftError(
            f"{path}: its network is for {joints} joints, its skeleton {skeleton.name!r} has "
            f"{len(skeleton.joint_names)}",
            "Export the checkpoint again, with the skeleton that it was trained for",
        )
    return Checkpoint(
        name=path.stem,
        path=path,
        convention=header["convention"],
        channels=int(header.get("channels", 0)),
        skeleton=skeleton,
        fps=float(header["fps"]),
        reach=int(header["reach"]),
        window=header.get("window"),
        card=header["card"],
        session=session,
        sigma=cast(tuple[float, float], tuple(header.get("sigma", (0.0, 1.0)))),
    )
