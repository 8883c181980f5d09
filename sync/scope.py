"""What an import is about: the names of its options resolved to Tator's projects, versions and types."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from fiftyone_tator.sync.errors import InvalidOption
from fiftyone_tator.sync.fields import Field, FieldMap, map_fields
from fiftyone_tator.sync.options import ImportOptions
from fiftyone_tator.tator_client import LocalizationType, MediaType, PermissionDenied, Project, Tator, Version


class _Named(Protocol):
    @property
    def id(self) -> int: ...
    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=_Named)


@dataclass(frozen=True, slots=True)
class Scope:
    """The part of a project that an import takes.

    Args:
        url: the server's address
        project: the project
        versions: the chosen versions
        types: the chosen localization types
        media_types: the project's media types by id
        users: user names by id
        all_versions: the ids of all versions that the project has
    """

    url: str
    project: Project
    versions: tuple[Version, ...]
    types: tuple[LocalizationType, ...]
    media_types: dict[int, MediaType]
    users: dict[int, str]
    all_versions: frozenset[int] = frozenset()

    @property
    def noun(self) -> str:
        """What the chosen types are called in a sentence: ``boxes``, ``dots``, ..., or ``localizations``."""
        plural = {"box": "boxes", "dot": "dots", "line": "lines", "poly": "polygons"}
        dtypes = {kind.dtype for kind in self.types}
        return plural.get(dtypes.pop(), "localizations") if len(dtypes) == 1 else "localizations"

    def is_image(self, media_type: int) -> bool:
        """Whether media of a type are still images, which is what crops are cut from.

        Args:
            media_type: the media type's id
        """
        kind = self.media_types.get(media_type)
        return kind is not None and kind.dtype == "image"

    def fields(
        self,
        *,
        label_attribute: str | None = None,
        existing: Sequence[Field] = (),
        taken: Iterable[str] = (),
        remembered: Mapping[int, str | None] | None = None,
    ) -> FieldMap:
        """Where the attributes of the chosen types go.

        Args:
            label_attribute: the label attribute where somebody chose it
            existing: the fields that earlier imports made for attributes
            taken: the names of all fields that the dataset has, those that people made included
            remembered: the label attributes of earlier imports, per localization type id

        Raises:
            InvalidOption: if the label attribute is unclear
        """
        kinds = sorted(self.media_types.values(), key=lambda kind: kind.id)
        return map_fields(
            self.types,
            kinds,
            label_attribute=label_attribute,
            existing=existing,
            taken=taken,
            remembered=remembered,
        )


def resolve(client: Tator, options: ImportOptions) -> Scope:
    """Looks up the project, versions and types that the options name.

    Args:
        client: the session with the server
        options: what to import

    Returns:
        the scope

    Raises:
        InvalidOption: if the server has no such project, version or type, naming what it has
        TatorError: if the server cannot be asked
    """
    project = find_project(client, options.project)
    versions = client.versions(project.id)
    kinds = client.localization_types(project.id)
    return Scope(
        url=client.url,
        project=project,
        versions=_chosen("version", project, versions, options.versions),
        types=choose_types(project, kinds, options.types),
        media_types={kind.id: kind for kind in client.media_types(project.id)},
        users=users_of(client, project.id),
        all_versions=frozenset(version.id for version in versions),
    )


def find_project(client: Tator, wanted: int | str) -> Project:
    """Finds a project by id or name.

    Args:
        client: the session with the server
        wanted: its id or its name

    Returns:
        the project

    Raises:
        InvalidOption: if the user can see no such project
    """
    projects = client.projects()
    found = _match(projects, wanted)
    if not found:
        raise InvalidOption(
            f"{client.url} shows no project {wanted!r} to you. {_have('projects', projects, wanted)} "
            "If it should be there, ask its owner to make you a member."
        )
    return found[0]


def choose_types(
    project: Project, kinds: Sequence[LocalizationType], wanted: Sequence[int | str] | None
) -> tuple[LocalizationType, ...]:
    """The localization types to import: those named, else the box types, else all.

    Args:
        project: the project
        kinds: its localization types
        wanted: names or ids, or None

    Returns:
        the types

    Raises:
        InvalidOption: if the project has no such type, or none at all
    """
    if wanted is None:
        return tuple(k for k in kinds if k.dtype == "box") or _chosen("localization type", project, kinds, None)
    return _chosen("localization type", project, kinds, wanted)


def _chosen(what: str, project: Project, there: Sequence[N], wanted: Sequence[int | str] | None) -> tuple[N, ...]:
    if not there:
        raise InvalidOption(f"Project {project.name!r} has no {what} yet. Make one in Tator, then import again.")
    if wanted is None:
        return tuple(there)
    chosen: list[N] = []
    for item in wanted:
        found = _match(there, item)
        if not found:
            raise InvalidOption(f"Project {project.name!r} has no {what} {item!r}. {_have(f'{what}s', there, item)}")
        chosen += found
    return tuple({item.id: item for item in chosen}.values())


def _match(there: Iterable[N], wanted: int | str) -> list[N]:
    items = list(there)
    found = [item for item in items if wanted in (item.id, item.name)]
    if not found and isinstance(wanted, str) and wanted.isdecimal():
        return [item for item in items if item.id == int(wanted)]
    return found


def _have(plural: str, there: Sequence[_Named], wanted: int | str) -> str:
    """A sentence that names what there is, what sounds alike first."""
    names = [item.name for item in there]
    near = difflib.get_close_matches(str(wanted), names, n=3, cutoff=0.5)
    listed = list(dict.fromkeys([*near, *names]))[:8]
    more = f" and {len(names) - len(listed)} more" if len(names) > len(listed) else ""
    return f"The {plural} are: {', '.join(listed)}{more}." if names else f"There are no {plural}."


def users_of(client: Tator, project: int) -> dict[int, str]:
    """The names of a project's members by id; none where the server does not tell.

    Args:
        client: the session with the server
        project: the project's id
    """
    try:
        return {m.user: m.username for m in client.memberships(project)}
    except PermissionDenied:
        return {}


def find_version(project: Project, there: Iterable[Version], wanted: int | str) -> Version:
    """Finds a version by id or name.

    Args:
        project: the project
        there: its versions
        wanted: the version's id or its name

    Returns:
        the version

    Raises:
        InvalidOption: if the project has no such version, naming those it has
    """
    return _chosen("version", project, list(there), [wanted])[0]
