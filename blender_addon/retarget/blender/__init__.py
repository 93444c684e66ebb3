"""The thin layer between armatures and plain data: reads rigs, writes keys. Needs bpy."""
