"""Carrying out the batches of a push: each by its call, each localization with its own outcome."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from fiftyone_tator.sync.outgoing import Batch, Outgoing, Way, nulls_of, spec
from fiftyone_tator.tator_client import Localization, LocalizationType, PermissionDenied, State, Tator, TatorError

_EDITORS = 4

Failures = dict[str, str]
"""Why localizations were not changed, by elemental id."""


class Sender:
    """Changes localizations in Tator.

    Args:
        client: the session with the server
        project: the project's id
        types: its localization types
        authors: elemental ids of users by id, as far as the caller may name others as authors; else empty
        me: the caller's id
    """

    def __init__(
        self,
        client: Tator,
        project: int,
        types: Sequence[LocalizationType],
        authors: Mapping[int, str],
        me: int,
    ) -> None:
        self._client, self._project, self._types = client, project, types
        self._authors, self._me = authors, me

    def send(self, batch: Batch, version: int) -> Failures:
        """Carries out one batch.

        Args:
            batch: localizations of one version
            version: the version's id

        Returns:
            the localizations that were refused, with the reason; the others may have been changed: read them

        Raises:
            TatorError: if the server fails; nobody knows what was done then
        """
        try:
            if batch.way is Way.CREATION:
                return self._create(batch.items, version)
            if batch.way in (Way.BULK, Way.BULK_IN_PLACE):
                return self._in_bulk(batch, version)
            return self._singly(batch, version)
        except PermissionDenied as reason:
            return {_element(item.theirs): said(reason) for item in batch.items}

    def _create(self, items: Sequence[Outgoing], version: int) -> Failures:
        specs = [self._spec(item) for item in items]
        outcomes = self._client.create_each(self._project, specs, types=self._types, repeat=False)
        failures = {
            _element(item.theirs): said(outcome)
            for item, outcome in zip(items, outcomes, strict=True)
            if isinstance(outcome, TatorError)
        }
        by_nulls: dict[tuple[str, ...], list[str]] = {}
        for item in items:
            nulls = nulls_of(item.theirs, item.change)
            if nulls and _element(item.theirs) not in failures:
                by_nulls.setdefault(nulls, []).append(_element(item.theirs))
        for nulls, elements in by_nulls.items():
            failed = self._client.update_each(
                self._project, version, elements, {}, null_attributes=nulls, in_place=True
            )
            failures |= {element: said(reason) for element, reason in failed.items()}
        return failures

    def _spec(self, item: Outgoing) -> dict[str, object]:
        author = item.theirs.created_by
        made = spec(item.theirs, item.change)
        if author is not None and author != self._me and author in self._authors:
            made["user_elemental_id"] = self._authors[author]
        return made

    def _in_bulk(self, batch: Batch, version: int) -> Failures:
        change = batch.items[0].change
        failed = self._client.update_each(
            self._project,
            version,
            [_element(item.theirs) for item in batch.items],
            change.attributes,
            null_attributes=change.nulls,
            in_place=batch.way.in_place,
        )
        return {element: said(reason) for element, reason in failed.items()}

    def _singly(self, batch: Batch, version: int) -> Failures:
        def edit(item: Outgoing) -> str | None:
            change = item.change
            try:
                self._client.update_localization(
                    version,
                    _element(item.theirs),
                    attributes=change.attributes,
                    null_attributes=change.nulls,
                    geometry=change.geometry,
                    in_place=batch.way.in_place,
                )
            except TatorError as reason:
                if reason.transient or reason.outcome_unknown:
                    raise
                return said(reason)
            return None

        with ThreadPoolExecutor(_EDITORS, "tator-push") as pool:
            outcomes = list(pool.map(edit, batch.items))
        return {
            _element(item.theirs): reason
            for item, reason in zip(batch.items, outcomes, strict=True)
            if reason is not None
        }


class Tracks:
    """Keeps tracks whole: they hold ids of marks, and a new mark has a new id.

    Args:
        client: the session with the server
        project: the project's id
    """

    def __init__(self, client: Tator, project: int) -> None:
        self._client, self._project = client, project
        self._types: list[int] | None = None
        self._versions: list[int] = []

    def follow(self, moved: Mapping[int, int], medias: Sequence[int]) -> None:
        """Points tracks at the new marks of their localizations; harmless when it was done already.

        Args:
            moved: new ids of marks by old ones
            medias: the media that the localizations lie on

        Raises:
            TatorError: if the server fails
        """
        if not moved or not self._tracks():
            return
        states = self._client.read_states(
            self._project, media_ids=medias, types=self._tracks(), versions=self._versions
        )
        for state in states:
            self._repair(state, moved)

    def _tracks(self) -> list[int]:
        if self._types is None:
            kinds = self._client.state_types(self._project)
            self._types = [kind.id for kind in kinds if kind.association == "Localization"]
            self._versions = [version.id for version in self._client.versions(self._project)]
        return self._types

    def _repair(self, state: State, moved: Mapping[int, int]) -> None:
        members = set(state.localizations)
        old = [id for id in state.localizations if id in moved]
        if old:
            new = [moved[id] for id in old if moved[id] not in members]
            self._client.update_state_members(state.id, add=new, remove=old, in_place=True)


def said(reason: TatorError, verb: str = "changed") -> str:
    """A refusal as the end of a sentence about a localization.

    Args:
        reason: the error
        verb: what was refused
    """
    return f"it was not {verb}: {' '.join(str(reason).split())}"


def _element(row: Localization) -> str:
    return str(row.elemental_id).lower()
