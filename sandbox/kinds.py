"""The two kinds of annotations, which share marks, tombstones, pruning and bulk endpoints."""

from dataclasses import dataclass

from fiftyone_tator.sandbox.schema import LOCALIZATION_COLUMNS, STATE_COLUMNS


@dataclass(frozen=True)
class Kind:
    """A kind of annotation.

    Args:
        name: its table, and the word in messages
        columns: the columns of its table
        geometry: the columns that a body sets by their own names
        sticky: the geometry that a PATCH cannot set to 0 or null
        links: tables that hold its many-to-many links, with the column of the other side
    """

    name: str
    columns: tuple[str, ...]
    geometry: tuple[str, ...] = ()
    sticky: frozenset[str] = frozenset()
    links: tuple[tuple[str, str], ...] = ()

    @property
    def title(self) -> str:
        """The name as in paths: ``Localization``."""
        return self.name.title()


LOCALIZATION = Kind(
    "localization",
    LOCALIZATION_COLUMNS,
    geometry=("x", "y", "width", "height", "u", "v"),
    sticky=frozenset({"width", "height", "u", "v", "points"}),
)
STATE = Kind("state", STATE_COLUMNS, links=(("state_localization", "localization"), ("state_media", "media")))
