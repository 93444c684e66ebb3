"""Rendered performers: people built and moved by our own scripts, filmed by a known camera, so that every 3D
joint of the clip is known exactly. `python -m benchmarks.performers.render` lists and renders them.

cast.py     the performers, choreographies, cameras and shots, as plain data
motions.py  choreography -> joints, bone rotations and contacts (numpy only)
person.py   a performer's body in Blender, posed frame by frame
render.py   the command line: one shot -> a video and its truth
"""
