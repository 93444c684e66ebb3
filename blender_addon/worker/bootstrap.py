"""Start a module in a process of its own: python -I -S bootstrap.py MODULE SOURCES [PACKAGES].

Run by Blender's Python, never imported. Neither Blender's packages nor the user's are seen in that process, only
those in PACKAGES, the extension's own environment. SOURCES holds the module.
"""

import runpy
import sys
from importlib.abc import PathEntryFinder
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType

STAND_INS = ("matplotlib", "matplotlib.pyplot")
"""MediaPipe imports these for drawings that are not made here; empty ones save 27 MB and half a second."""


class WithoutCache(SourceFileLoader):
    """Loads sources and writes nothing beside them: they lie in the extension's folder."""

    def set_data(self, path: str, data: object, *, _mode: int = 0o666) -> None:
        return


def main(module: str, sources: str, packages: str | None = None) -> None:
    make_finder = FileFinder.path_hook((WithoutCache, SOURCE_SUFFIXES))

    def find_in_sources(path: str) -> PathEntryFinder:
        if not Path(path).is_relative_to(sources):
            raise ImportError
        return make_finder(path)

    sys.path_hooks.insert(0, find_in_sources)
    sys.path.append(sources)
    if packages is not None:
        sys.path.insert(0, packages)
        if not Path(packages, "matplotlib").exists():
            sys.modules.update({name: ModuleType(name) for name in STAND_INS})
            sys.modules["matplotlib"].__dict__["pyplot"] = sys.modules["matplotlib.pyplot"]
    sys.argv = [module]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
