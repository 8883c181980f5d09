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
        self._met = 0

    def enough(self, page: Sequence[Mapping[str, Any]]) -> bool:
        """Learns the media of a page that was read, and says whether the sample limit is reached with it.

        Args:
            page: rows as the server sent them
        """
        self.medias.learn(row["media"] for row in page)
        if self.limit is None:
            return False
        for row in page:
            media = self.medias.get(row["media"])
            image = media is not None and self.medias.is_image(media)
            if media is not None and image and self._asked_for(row["type"], row["attributes"], media):
                self._met += 1
        self.ended = self._met >= self.limit
        return self.ended

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
        if self._classes is None:
            return True
        attribute = self._labels.get(kind)
        return (text(attributes.get(attribute)) if attribute else None) in self._classes
