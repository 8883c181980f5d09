"""Which localizations of a scope an import takes: class, extension, sample limit, and images only."""

from collections.abc import Mapping, Sequence
from typing import Any

from fiftyone_tator.media.crops import Region
from fiftyone_tator.sync.fields import FieldMap
from fiftyone_tator.sync.geometry import NoRegion, region
from fiftyone_tator.sync.medias import MediaBook
from fiftyone_tator.sync.options import ImportOptions, wanted_extension
from fiftyone_tator.sync.scope import Scope
from fiftyone_tator.sync.values import text
from fiftyone_tator.tator_client import Localization, Media

ON_VIDEO = "Crops are made of images only, and these are on videos"
MEDIA_GONE = "Tator does not show their media any more"

_NAMED = 20


class LeftOut(Exception):
    """A localization cannot become a sample; the message says why."""


class Selection:
    """Decides about each localization.

    Args:
        scope: what is imported
        options: the filters
        fields: knows the label attribute of each type
        medias: the media
    """

    def __init__(self, scope: Scope, options: ImportOptions, fields: FieldMap, medias: MediaBook) -> None:
        self.medias = medias
        self.limit = options.max_samples
        self.ended = False
        self.without_identity = 0
        self._labels = fields.label
        self._classes = None if options.include_classes is None else frozenset(options.include_classes)
        self._extensions = options.image_extensions
        self._dtypes = {kind.id: kind.dtype for kind in scope.types}
        self._met: set[tuple[int, str]] = set()
        self._found = False
        self._labels_seen: dict[str, None] = {}

    def enough(self, page: Sequence[Mapping[str, Any]]) -> bool:
        """Learns the media of a page that was read, and says whether the sample limit is reached with it.

        Args:
            page: rows as the server sent them
        """
        self.medias.learn(row["media"] for row in page)
        if self._classes is not None and not self._found:
            self._found = any(self._has_chosen_class(row["type"], row["attributes"]) for row in page)
        if self.limit is None:
            return False
        rows = (Localization.from_json(row) for row in page if row["elemental_id"])
        self._met.update((row.version, str(row.elemental_id)) for row in rows if self.takes(row))
        self.ended = len(self._met) >= self.limit
        return self.ended

    @property
    def unknown_classes(self) -> str | None:
        """That none of the chosen classes was met among labels that were, in words; None if one was or none is asked
        for."""
        if self._classes is None or self._found or not self._labels_seen:
            return None
        names = list(self._labels_seen)
        more = ", ..." if len(names) > _NAMED else ""
        return (
            f"None of the localizations is of a chosen class ({', '.join(sorted(self._classes))}). "
            f"Their labels are: {', '.join(names[:_NAMED])}{more}. Choose among these, or leave include_classes out."
        )

    def takes(self, row: Localization) -> bool:
        """Whether a localization is wanted and has its place on an image.

        Args:
            row: the localization
        """
        try:
            self.place(row)
        except LeftOut:
            return False
        return self.wants(row)

    def wants(self, row: Localization) -> bool:
        """Whether class and extension are among the chosen ones.

        Args:
            row: the localization
        """
        media = self.medias.get(row.media)
        return media is None or self._asked_for(row.type, row.attributes, media)

    def place(self, row: Localization) -> tuple[Media, Region]:
        """The image that a localization lies on, and where.

        Args:
            row: the localization

        Returns:
            the media, and the region as fractions of it

        Raises:
            LeftOut: if it lies on a video, or has no place on its picture
        """
        media = self.medias.get(row.media)
        if media is None:
            raise LeftOut(MEDIA_GONE)
        if not self.medias.is_image(media):
            raise LeftOut(ON_VIDEO)
        try:
            return media, region(row, self._dtypes[row.type])
        except NoRegion as reason:
            raise LeftOut(f"Not imported because {reason}") from None

    def _asked_for(self, kind: int, attributes: Mapping[str, Any], media: Media) -> bool:
        if not wanted_extension(media.name, self._extensions):
            return False
        return self._classes is None or self._has_chosen_class(kind, attributes)

    def _has_chosen_class(self, kind: int, attributes: Mapping[str, Any]) -> bool:
        attribute = self._labels.get(kind)
        label = text(attributes.get(attribute)) if attribute else None
        if label is not None and len(self._labels_seen) <= _NAMED:
            self._labels_seen[label] = None
        return label in (self._classes or ())
