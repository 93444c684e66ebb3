from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

from lifter.nets import net_names, net_sizes, skeleton_graph
from lifter.skeleton import load_skeleton
from training.cli import main
from training.describe import REFERENCES, TOLERANCE, describe

GRAPH = skeleton_graph(load_skeleton("h36m"))


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda r: f"{r.name}-{r.size}")
def test_sizes_are_those_of_the_design(reference) -> None:
    found = describe(reference.name, reference.size, GRAPH)
    assert found.parameters / 1e6 == pytest.approx(reference.parameters, rel=TOLERANCE)
    if reference.macs is not None:
        assert found.macs / 1e6 == pytest.approx(reference.macs, rel=TOLERANCE)


def test_counts_by_hand() -> None:
    """A temporal convolution is nothing but matrices: every weight of them works once a frame."""
    d = describe("tcn", "base", GRAPH)
    c = 1024
    products = 34 * 3 * c + 4 * (3 * c * c + c * c) + c * 51
    assert d.macs == products and d.frames == 243
    assert d.parameters == products + 9 * 2 * c + 51
    # Attention: queries by keys and weights by values, over joints and over frames.
    one, two = (describe("st_transformer", "xs", GRAPH, layers=n) for n in (1, 2))
    c, j, t = 96, 17, 81
    assert two.macs - one.macs == pytest.approx(j * (2 * 8 * c * c + 2 * j * c + 2 * t * c))


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + sum(len(net_sizes(n)) for n in net_names())
    assert main(["describe", "ampose", "--size", "xs", "--skeleton", "body"]) == 0
    assert "| ampose | xs | 33 |" in capsys.readouterr().out
    assert main(["describe", "--size", "xs"]) == 2
    assert main(["describe", "ampose", "--size", "xxl"]) == 2
