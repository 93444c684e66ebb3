"""Takes onto armatures, inside Blender. Needs bpy and numpy only; knows the lifter by its takes and its worker alone.

As an extension this is all of it: registration.py lists what it adds to Blender. As a package of a script, nothing is
registered: animate.py and retarget/ work on their own, in `blender --background` and in the bpy module.
docs/extension.md says what lies where.
"""


def register() -> None:
    """Called by Blender when the extension is enabled."""
    from . import registration

    registration.register()


def unregister() -> None:
    """Called by Blender when the extension is disabled, and before it quits."""
    from . import registration

    registration.unregister()
