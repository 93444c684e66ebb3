"""What came of a batch: batch.json for programs, and batch.html, a contact sheet in one file, for people."""

from __future__ import annotations

import base64
import html
import json
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .records import Record, strip_file, write_whole
from .table import error_text

SUMMARY, SHEET = "batch.json", "batch.html"
TEMPLATE = Path(__file__).with_name("sheet.html")


def write_summary(out: Path, records: Sequence[Record], total: int, settings: Mapping[str, Any]) -> Path:
    """Counts and a record a clip, as JSON. total: clips of the batch, which may not have ended. Raises OSError."""
    counts = Counter(r.state for r in records)
    told = {
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "complete": len(records) == total and not counts["failed"],
        "counts": {"clips": total, **{s: counts[s] for s in ("done", "skipped", "failed")}},
        "settings": settings,
        "clips": [{k: v for k, v in asdict(r).items() if k not in ("stamp", "file_keys")} for r in records],
    }
    write_whole(out / SUMMARY, json.dumps(told, indent=1, default=str).encode())
    return out / SUMMARY


def write_sheet(out: Path, records: Sequence[Record], total: int) -> Path:
    """The contact sheet: strips are inside it, takes and files are linked. Raises OSError."""
    counts = Counter(r.state for r in records)
    warned = sum(bool(r.told) for r in records)
    facts = [("clips", total), *((s, counts[s]) for s in ("done", "skipped", "failed")), ("with warnings", warned)]
    parts = {
        "title": html.escape(out.absolute().name),
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "facts": "".join(f"<div><b>{n}</b>{what}</div>" for what, n in facts if n or what == "clips"),
        "clips": "\n".join(_card(out, r) for r in sorted(records, key=lambda r: r.good)),
    }
    text = re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], TEMPLATE.read_text(encoding="utf-8"))
    write_whole(out / SHEET, text.encode())
    return out / SHEET


def _card(out: Path, record: Record) -> str:
    said, warnings = record.summary, record.told
    kind = "failed" if not record.good else "warned" if warnings else "fine"
    notes = [f'<li class="error">{html.escape(error_text(record))}</li>'] if not record.good else []
    notes += [f"<li>{html.escape(w)}</li>" for w in warnings]
    numbers: list[str] = []
    meter = ""
    if record.good and said:
        frames, fps = int(said.get("frames", 0)), float(said.get("fps", 0) or 0)
        people = int(said.get("people", 0))
        length = f" · {frames / fps:.1f} s" if fps else ""
        numbers = [
            f"{frames} {'frame' if frames == 1 else 'frames'}{length}",
            f"{people} {'person' if people == 1 else 'people'}",
        ]
        meter = _meter("coverage", said.get("coverage", 0)) + _meter("confidence", said.get("confidence", 0))
    if record.state != "skipped" and record.seconds:
        numbers.append(f"took {record.seconds:.1f} s{' in 2 attempts' if record.attempts > 1 else ''}")
    links = " ".join(
        f'<a href="{html.escape(quote(f), quote=True)}">{html.escape(f.rpartition("/")[2])}</a>' for f in record.files
    )
    return (
        f'<article class="{kind}" data-name="{html.escape(record.name.casefold(), quote=True)}">'
        f'<header><h2>{html.escape(record.name)}</h2><span class="state">{record.state}</span></header>'
        f"{_strip(out, record)}"
        f'<div class="row">{meter}<p class="numbers">{html.escape(" · ".join(numbers))}</p></div>'
        f"{f'<ul>{chr(10).join(notes)}</ul>' if notes else ''}"
        f'<footer><span class="links">{links}</span>'
        f'<span class="path" title="{html.escape(record.clip, quote=True)}">&lrm;{html.escape(record.clip)}</span>'
        "</footer>"
        "</article>"
    )


def _strip(out: Path, record: Record) -> str:
    try:
        if record.good:
            data = base64.b64encode(strip_file(out, record.name).read_bytes()).decode()
            return f'<img alt="" src="data:image/jpeg;base64,{data}">'
    except OSError:
        pass
    return '<div class="nothing">no pictures</div>'


def _meter(what: str, share: object) -> str:
    percent = 100 * min(1.0, max(0.0, float(share))) if isinstance(share, int | float) else 0.0
    level = "low" if percent < 50 else "middle" if percent < 75 else "high"
    return (
        f'<div class="meter {level}"><span>{what}</span><i><b style="width:{percent:.0f}%"></b></i>'
        f"<em>{percent:.0f} %</em></div>"
    )
