"""What an import would bring, counted by the server, before anything is read."""

from collections.abc import Sequence
from dataclasses import dataclass

from fiftyone_tator.sync.options import ImportOptions, wanted_extension
from fiftyone_tator.sync.scope import Scope
from fiftyone_tator.sync.values import text
from fiftyone_tator.tator_client import Media, Tator

_ROWS_TO_READ = 50_000


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
        exact: whether ``images`` and ``videos`` are counted; otherwise there are no more than these
    """

    noun: str
    localizations: int
    images: int
    on_videos: int
    videos: int
    filtered: int
    limit: int | None
    exact: bool = True

    @property
    def text(self) -> str:
        """One sentence, for example ``19,874 boxes on 300 images; 126 on 2 videos are left out``."""
        on = "on" if self.exact else "on at most"
        parts = [f"{self.localizations:,} {self.noun} {on} {_many(self.images, 'image')}"]
        if self.on_videos:
            parts.append(f"{self.on_videos:,} {on} {_many(self.videos, 'video')} are left out")
        if self.filtered:
            parts.append(f"{self.filtered:,} are not among what you chose")
        if self.limit is not None and self.limit < self.localizations:
            parts.append(f"the first {self.limit:,} are imported")
        return "; ".join(parts)


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def preview(client: Tator, scope: Scope, options: ImportOptions) -> Preview:
    """Counts what an import would bring; the server counts.

    Rows are read, and only of which media they are, where a media in a version need not have one that is asked for;
    not where there are too many of them to be read while somebody waits.

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
    types = [kind.id for kind in scope.types]
    images, chosen, videos = _sorted_media(client, scope, options)
    total = _count(client, scope, types)
    on_videos = _count(client, scope, types, sorted(videos))
    wanted = total - on_videos
    if options.include_classes is not None or chosen != images:
        wanted = _count_wanted(client, scope, options, sorted(chosen))
    exact = options.include_classes is None and not _has_other_types(client, scope)
    if not exact and total <= _ROWS_TO_READ:
        any_class, chosen_class = _media_of_rows(client, scope, options)
        exact, chosen, videos = True, chosen & chosen_class, videos & any_class
    return Preview(
        noun=scope.noun,
        localizations=wanted,
        images=len(chosen),
        on_videos=on_videos,
        videos=len(videos),
        filtered=total - on_videos - wanted,
        limit=options.max_samples,
        exact=exact,
    )


def _sorted_media(client: Tator, scope: Scope, options: ImportOptions) -> tuple[set[int], set[int], set[int]]:
    """The images, those of them with a chosen extension, and the videos."""
    medias = _media(client, scope)
    images = [media for media in medias if scope.is_image(media.type)]
    chosen = {media.id for media in images if wanted_extension(media.name, options.image_extensions)}
    ids = {media.id for media in images}
    return ids, chosen, {media.id for media in medias} - ids


def _has_other_types(client: Tator, scope: Scope) -> bool:
    """Whether the versions hold localizations of types that are not chosen."""
    chosen = {kind.id for kind in scope.types}
    others = [kind.id for kind in client.localization_types(scope.project.id) if kind.id not in chosen]
    return _count(client, scope, others) > 0


def _count(client: Tator, scope: Scope, types: Sequence[int], medias: Sequence[int] | None = None) -> int:
    """Counts type by type: Tator documents a list of versions, but none of types."""
    project, versions = scope.project.id, [version.id for version in scope.versions]
    return sum(client.count_localizations(project, version=versions, type=kind, media_ids=medias) for kind in types)


def _media_of_rows(client: Tator, scope: Scope, options: ImportOptions) -> tuple[set[int], set[int]]:
    """The media with a localization of the chosen types, and those with one of the chosen classes as well."""
    classes = options.include_classes
    labels = {} if classes is None else scope.fields(label_attribute=options.label_attribute).label
    any_class: set[int] = set()
    chosen_class: set[int] = set()
    versions = [version.id for version in scope.versions]
    for kind in scope.types:
        label = labels.get(kind.id)
        fields = ["media"]
        if label is not None:
            # A comma would end the name of the field.
            fields.append("attributes" if "," in label else f"attributes.{label}")
        pages = client.iter_localizations(scope.project.id, types=[kind.id], versions=versions, fields=fields, raw=True)
        for page in pages:
            any_class.update(row["media"] for row in page)
            if classes is None:
                chosen_class.update(row["media"] for row in page)
            elif label is not None:
                chosen_class.update(row["media"] for row in page if text(row["attributes"].get(label)) in classes)
    return any_class, chosen_class


def _count_wanted(client: Tator, scope: Scope, options: ImportOptions, medias: list[int]) -> int:
    project, versions = scope.project.id, [version.id for version in scope.versions]
    if options.include_classes is None:
        return _count(client, scope, [kind.id for kind in scope.types], medias)
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
