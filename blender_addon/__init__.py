"""Takes onto armatures, inside Blender. Needs bpy and numpy only, and knows the lifter by its takes alone.

take_file.py and pose.py are numpy only; armature.py, fcurves.py and scene.py touch bpy; animate.py joins them.
"""
