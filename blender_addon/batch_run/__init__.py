"""Many clips in one go, resumable, on one machine or a cluster. The standard library alone: no bpy, no NumPy.

`motionlift batch` and `blender --command motionlift batch` both run this. clips.py finds the clips, run.py does them,
clip.py is one of them from beginning to end, records.py knows what is done, table.py shows progress, sheet.py writes
what came of it, and cluster.py has a Ray cluster do the work. docs/batch.md says what users get.
"""
