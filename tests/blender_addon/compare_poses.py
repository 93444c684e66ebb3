"""Compare the joint heads that several Blender versions found: `python compare_poses.py A.json B.json ...`.

Exit code 1 where they differ by more than a millimetre.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path


def main() -> int:
    dumps = [json.loads(Path(p).read_text()) for p in sys.argv[1:]]
    first = dumps[0]["heads"]
    worst = 0.0
    for path, dump in zip(sys.argv[1:], dumps, strict=True):
        if dump["heads"].keys() != first.keys() or not first:
            print(f"{path}: other bones or frames than {sys.argv[1]}")
            return 1
        apart = max(math.dist(dump["heads"][k], first[k]) for k in first)
        worst = max(worst, apart)
        print(f"Blender {dump['blender']}: {len(first)} heads, at most {1000 * apart:.4f} mm from the first  ({path})")
    return 0 if worst < 1e-3 else 1


if __name__ == "__main__":
    raise SystemExit(main())
