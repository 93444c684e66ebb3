"""From a clip in Blender to a take: what the worker is asked, and what becomes of its answers."""
