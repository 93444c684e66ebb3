"""Training throughput of every network on a CUDA device, and its share of the chip's peak.

    python -m benchmarks.gpu                      # writes benchmarks/gpu.md
    python -m benchmarks.gpu --device cpu --size xs --batch 1 --seconds 1 --plain   # a trial of it without a GPU

Forward, backward and AdamW in bfloat16 on random input of 17 joints: what the networks themselves allow. The share is
of the peak of dense bfloat16 products: three times the forward products (describe.py) against the table below.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from torch import nn

from lifter.nets import build_net, net_sizes, skeleton_graph
from lifter.skeleton import load_skeleton
from training.describe import describe

from .machine import heading

NETWORKS = ("ampose", "ssr_stf", "transformer_gcn", "tcn", "st_transformer")
PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "4090": 165e12, "3090": 71e12}
"""Dense bfloat16 operations a second (2 for a multiply-accumulate), of the makers' data sheets, by part of a name."""


def step_seconds(net: nn.Module, x: torch.Tensor, seconds: float) -> float:
    """Seconds of one training step, the mean over as many as fit into the time, after three that warm up."""
    adam = torch.optim.AdamW(net.parameters(), fused=x.is_cuda)

    def step() -> None:
        with torch.autocast(x.device.type, torch.bfloat16):
            loss = net(x).square().mean()
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()

    for _ in range(3):
        step()
    wait(x)
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        for _ in range(3):
            step()
        wait(x)
        count += 3
    return (time.perf_counter() - start) / count


def wait(x: torch.Tensor) -> None:
    if x.is_cuda:
        torch.cuda.synchronize()


def measure(name: str, size: str, device: str, batch: int, seconds: float, *, compiled: bool) -> tuple[float, float]:
    """Frames a second, and multiply-accumulates a frame of the forward pass. `batch` is in windows of 243 frames."""
    graph = skeleton_graph(load_skeleton("h36m"))
    net = build_net(name, size, graph).to(device).train()
    counted = describe(name, size, graph)
    shape = (batch * counted.frames, 1) if name == "ampose" else (batch, counted.frames)
    x = torch.randn(*shape, graph.joints, net.channels_in, device=device)  # type: ignore[arg-type]
    taken = step_seconds(torch.compile(net) if compiled else net, x, seconds)  # type: ignore[arg-type]
    return shape[0] * shape[1] / taken, counted.macs


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--size", help="instead of the largest of each network")
    parser.add_argument("--batch", type=int, default=16, help="windows in a step")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--plain", action="store_true", help="without torch.compile, which takes minutes on a CPU")
    args = parser.parse_args(argv)
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        raise SystemExit("No CUDA device here: run this where one is, or try it with --device cpu")
    torch.set_float32_matmul_precision("high")
    name = torch.cuda.get_device_name() if args.device.startswith("cuda") else "CPU"
    peak = next((p for part, p in PEAKS.items() if part in name), None)
    lines = [
        heading("Training throughput on a GPU"),
        f"{name}, bfloat16, {args.batch} windows a step. Share of the peak: {peak or 'peak not known'}.\n",
        "| network | size | frames/s | share of peak |" + (" frames/s compiled | share of peak |" * (not args.plain)),
        "|---" * (4 if args.plain else 6) + "|",
    ]
    for network in NETWORKS:
        size = args.size or list(net_sizes(network))[-1]
        cells: list[str] = []
        for compiled in (False,) if args.plain else (False, True):
            rate, macs = measure(network, size, args.device, args.batch, args.seconds, compiled=compiled)
            share = f"{100 * rate * macs * 6 / peak:.1f} %" if peak else "not known"
            cells += [f"{rate:,.0f}", share]
        lines.append(f"| {network} | {size} | " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)  # noqa: T201
    if args.device.startswith("cuda"):
        Path(__file__).with_name("gpu.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
