"""A take onto any humanoid armature. All but `blender/` is NumPy only and knows no bpy."""
