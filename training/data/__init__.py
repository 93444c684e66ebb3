"""Motion capture: BVH files, joint maps, and the prepared corpus."""
