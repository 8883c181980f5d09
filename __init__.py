"""Curate Tator localizations in the FiftyOne App.

This folder is two things: the FiftyOne plugin ``@tator/sync`` and the Python package ``fiftyone_tator``.
FiftyOne loads a plugin under a name of its own making. To keep every module once in a process, the plugin then only
puts the package ``fiftyone_tator`` in place (this same folder, unless it is imported already) and hands over to it.
"""

import importlib.util
import sys
from pathlib import Path
from typing import Any

__version__ = "0.1.0"

PACKAGE = "fiftyone_tator"


def _ensure_package() -> None:
    """Makes ``import fiftyone_tator`` find this folder, unless the package is in the process already."""
    if PACKAGE in sys.modules:
        return
    here = Path(__file__).resolve()
    spec = importlib.util.spec_from_file_location(PACKAGE, here, submodule_search_locations=[str(here.parent)])
    if spec is None or spec.loader is None:
        raise ImportError(f"{PACKAGE} cannot be loaded from {here}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = module
    spec.loader.exec_module(module)


def register(plugin: Any) -> None:
    """Registers all operators and panels; FiftyOne calls this when it loads the plugin.

    Args:
        plugin: the :class:`fiftyone.plugins.context.PluginContext` to register with
    """
    _ensure_package()
    from fiftyone_tator.operators import OPERATORS
    from fiftyone_tator.panels import PANELS

    for cls in (*OPERATORS, *PANELS):
        plugin.register(cls)
