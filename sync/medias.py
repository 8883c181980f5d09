"""What is known of the media that localizations lie on, read as they are met."""

from collections.abc import Iterable

from fiftyone_tator.sync.scope import Scope
from fiftyone_tator.tator_client import Media, Tator


class MediaBook:
    """The media of one import.

    Args:
        client: the session with the server
        scope: what is imported
    """

    def __init__(self, client: Tator, scope: Scope) -> None:
        self._client, self._scope = client, scope
        self._known: dict[int, Media | None] = {}

    def learn(self, ids: Iterable[int]) -> None:
        """Reads media that are not known yet.

        Args:
            ids: the media's ids

        Raises:
            TatorError: if the server fails
        """
        unknown = sorted({media for media in ids if media not in self._known})
        found = {media.id: media for media in self._client.medias(self._scope.project.id, unknown)}
        for media in unknown:
            self._known[media] = found.get(media)

    def get(self, media: int) -> Media | None:
        """A media that was learnt; None if the server does not show it.

        Args:
            media: its id
        """
        return self._known.get(media)

    def is_image(self, media: Media) -> bool:
        """Whether a media is a still image.

        Args:
            media: the media
        """
        return self._scope.is_image(media.type)
