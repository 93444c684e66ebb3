"""What retargeting does with bpy: armatures to plain data, plain data to f-curves."""
