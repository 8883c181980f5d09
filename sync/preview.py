"""What an import would bring, counted by the server, before anything is read."""

from dataclasses import dataclass

from fiftyone_tator.sync.options import ImportOptions, wanted_extension
from fiftyone_tator.sync.scope import Scope
from fiftyone_tator.tator_client import Media, Tator


@dataclass(frozen=True, slots=True)
class Preview:
    """What an import would bring.

    Args:
        noun: what the localizations are called
        localizations: on the chosen images
        images: the chosen images that have some
        on_videos: localizations on videos, which are left out
        videos: the videos that have some
        filtered: localizations on images that the chosen classes or extensions leave out
        limit: the sample limit, or None
    """

    noun: str
    localizations: int
    images: int
    on_videos: int
    videos: int
    filtered: int
    limit: int | None

    @property
    def text(self) -> str:
        """One sentence, for example ``19,874 boxes on 300 images; 126 on 2 videos are left out``."""
        parts = [f"{self.localizations:,} {self.noun} on {_many(self.images, 'image')}"]
        if self.on_videos:
            parts.append(f"{self.on_videos:,} on {_many(self.videos, 'video')} are left out")
        if self.filtered:
            parts.append(f"{self.filtered:,} are not among what you chose")
        if self.limit is not None and self.limit < self.localizations:
            parts.append(f"the first {self.limit:,} are imported")
        return "; ".join(parts)


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def preview(client: Tator, scope: Scope, options: ImportOptions) -> Preview:
    """Counts what an import would bring; the server counts, no localization is read.

    Args:
        client: the session with the server
        scope: what would be imported
        options: the filters

    Returns:
        the counts

    Raises:
        InvalidOption: if classes are chosen and the label attribute is unclear
        TatorError: if the server fails
    """
    project, versions = scope.project.id, [version.id for version in scope.versions]
    types = [kind.id for kind in scope.types]
    images, videos = set(), set()
    chosen: set[int] = set()
    for media in _media(client, scope):
        if not scope.is_image(media.type):
            videos.add(media.id)
            continue
        images.add(media.id)
        if wanted_extension(media.name, options.image_extensions):
            chosen.add(media.id)
    total = client.count_localizations(project, version=versions, type=types)
    on_videos = client.count_localizations(project, version=versions, type=types, media_ids=sorted(videos))
    wanted = total - on_videos
    if options.include_classes is not None or chosen != images:
        wanted = _count_wanted(client, scope, options, sorted(chosen))
    return Preview(
        noun=scope.noun,
        localizations=wanted,
        images=len(chosen),
        on_videos=on_videos,
        videos=len(videos),
        filtered=total - on_videos - wanted,
        limit=options.max_samples,
    )


def _count_wanted(client: Tator, scope: Scope, options: ImportOptions, medias: list[int]) -> int:
    project, versions = scope.project.id, [version.id for version in scope.versions]
    if options.include_classes is None:
        kinds = [kind.id for kind in scope.types]
        return client.count_localizations(project, version=versions, type=kinds, media_ids=medias)
    labels = scope.fields(label_attribute=options.label_attribute).label
    count = 0
    for kind in scope.types:
        attribute = labels[kind.id]
        if attribute is not None:
            count += client.count_localizations(
                project,
                version=versions,
                type=kind.id,
                media_ids=medias,
                attribute_in=(attribute, options.include_classes),
            )
    return count


def _media(client: Tator, scope: Scope) -> list[Media]:
    """The media with a localization in one of the versions, each once."""
    found: dict[int, Media] = {}
    for version in scope.versions:
        for page in client.iter_medias(scope.project.id, version=version.id):
            found.update((media.id, media) for media in page)
    return list(found.values())
