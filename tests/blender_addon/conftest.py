"""These tests need bpy and numpy only: they also run where the lifter's packages are not installed."""
