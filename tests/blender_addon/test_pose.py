from __future__ import annotations

import numpy as np

from blender_addon.pose import last_before_gap


def test_the_pose_before_a_gap_is_held() -> None:
    assert last_before_gap(np.array([3, 4, 5, 9, 10])).tolist() == [False, False, True, False, False]
