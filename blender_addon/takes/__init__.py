"""The takes of a .blend: the list in the scene, and what shows one (armature, camera, overlay on the clip)."""
