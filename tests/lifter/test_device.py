"""Networks run on the CPU wherever the GPU is not there, does not start, says something else or is slower."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lifter import device
from lifter.checkpoint import FOLDER, load_checkpoint
from lifter.errors import MotionliftError

BODY = FOLDER / "body.onnx"


class Session:
    """A session as ONNX Runtime's are, on a GPU that errs and waits as told."""

    def __init__(self, real: Any, error: float, seconds: float) -> None:
        self.real, self.error, self.seconds = real, error, seconds

    def get_inputs(self) -> Any:
        return self.real.get_inputs()

    def get_providers(self) -> list[str]:
        return ["CUDAExecutionProvider"]

    def run(self, names: Any, inputs: Any) -> list[Any]:
        if self.seconds < 0:
            raise RuntimeError("CUDA error: out of memory")
        device.time.sleep(self.seconds)
        return [o + self.error for o in self.real.run(names, inputs)]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Have the GPU give results off by `error` after `seconds`, a CPU that takes 0.2 s more than it does."""

    def pretend(error: float = 0.0, seconds: float = 0.0) -> None:
        import onnxruntime

        real = device._session(onnxruntime, BODY, [device.CPU], 0)
        slow = Session(real, 0.0, 0.2)
        slow.get_providers = lambda: [device.CPU]  # type: ignore[method-assign]
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", device.CPU])
        monkeypatch.setattr(device, "_session", lambda _o, _p, providers, _t: slow if len(providers) == 1 else fast)
        fast = Session(real, error, seconds)

    return pretend


def test_a_gpu_that_agrees_and_is_faster_is_taken(gpu: Any) -> None:
    gpu(error=0.001)
    assert device.device_name(device.open_session(BODY)) == "CUDA"
    assert device.device_name(device.open_session(BODY, "cpu")) == "CPU"


@pytest.mark.parametrize("pretended", [{"error": 0.05}, {"error": np.nan}, {"seconds": 1.0}, {"seconds": -1.0}])
def test_one_that_errs_or_is_slow_or_breaks_is_not(gpu: Any, pretended: dict[str, float]) -> None:
    gpu(**pretended)
    assert device.device_name(device.open_session(BODY)) == "CPU"


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device.device_name(load_checkpoint(device="cpu").session) == "CPU"
    with pytest.raises(MotionliftError, match="Unknown device 'tpu'"):
        load_checkpoint(device="tpu")
    import onnxruntime

    if set(device.GPUS) & set(onnxruntime.get_available_providers()):
        pytest.skip("there is one")
    assert device.device_name(load_checkpoint().session) == "CPU"
    with pytest.raises(MotionliftError, match="knows no GPU"):
        load_checkpoint(device="gpu")
    # One that was built for CUDA, on a machine without.
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", device.CPU])
    with pytest.raises(MotionliftError, match="CUDA does not start"):
        load_checkpoint(device="gpu")
    assert device.device_name(load_checkpoint().session) == "CPU"


def test_what_is_wrong_with_the_file_is_still_said(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_text("nothing")
    with pytest.raises(MotionliftError, match="damaged, or not an ONNX file"):
        load_checkpoint(str(tmp_path / "x.onnx"))


BACKENDS = [b for b in device.BACKENDS if b != "onnx-cpu"]


def views(clips: int = 3, frames: int = 70) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    joints = len(load_checkpoint().skeleton.joint_names)
    shapes = {"rays": (clips, frames, joints, 2), "score": (clips, frames, joints), "size": (clips, frames)}
    return {k: rng.uniform(0.1, 0.9, s).astype(np.float32) for k, s in shapes.items()}


@pytest.mark.filterwarnings("ignore:Specified provider")
@pytest.mark.parametrize("name", BACKENDS)
def test_every_backend_says_the_same(name: str) -> None:
    if name.startswith("torch"):
        pytest.importorskip("torch")
        pytest.importorskip("safetensors")
    try:
        session = device.open_session(BODY, name)
    except MotionliftError as error:
        assert "-cpu" not in name
        pytest.skip(f"not on this machine: {error}")
    expected = device.open_session(BODY, "onnx-cpu").run(None, views())
    found = session.run(None, views())
    assert not getattr(session, "warnings", [])
    half = 0.001 if session.get_providers() == ["torch-cpu"] else device.TOLERANCE  # weights are kept in half precision
    for a, b in zip(expected, found, strict=True):
        assert a.shape == b.shape and b.dtype == np.float32
        assert np.abs(a - b).max() < half * max(1, np.abs(a).max())


def test_a_checkpoint_on_torch_is_one_like_any_other() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    on_torch, plain = load_checkpoint(device="torch-cpu"), load_checkpoint(device="cpu")
    assert on_torch.skeleton.joint_names == plain.skeleton.joint_names
    assert (on_torch.fps, on_torch.reach) == (plain.fps, plain.reach)


class Small:
    """A GPU with memory for some clips at a time."""

    def __init__(self, real: Any, clips: int) -> None:
        self.real, self.clips, self.calls = real, clips, 0

    def get_providers(self) -> list[str]:
        return ["CUDAExecutionProvider"]

    def run(self, names: Any, inputs: dict[str, Any]) -> list[Any]:
        self.calls += 1
        if len(inputs["rays"]) > self.clips:
            raise RuntimeError("CUDA error: out of memory\nmore of it")
        return self.real.run(names, inputs)


def test_out_of_memory_means_smaller_batches_then_the_cpu() -> None:
    plain = device.open_session(BODY, "cpu")
    expected = plain.run(None, views())
    one = device.WithFallback(Small(plain, 1), lambda: plain)
    for a, b in zip(expected, one.run(None, views()), strict=True):
        assert np.allclose(a, b, atol=1e-5)
    assert len(one.warnings) == 1 and "smaller batches" in one.warnings[0] and "out of memory" in one.warnings[0]
    assert device.device_name(one) == "CUDA"
    broken = Small(plain, 0)
    none = device.WithFallback(broken, lambda: plain)
    for a, b in zip(expected, none.run(None, views()), strict=True):
        assert np.allclose(a, b, atol=1e-5)
    assert "The CPU does" in none.warnings[-1] and device.device_name(none) == "CPU"
    calls = broken.calls
    none.run(None, views())
    assert broken.calls == calls  # it is not asked again
