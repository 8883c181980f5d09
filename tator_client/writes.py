"""Writing localizations and the members of tracks."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

from ._base import Connected, made, rows_of
from ._chunks import by_bytes, chunks, unique
from ._values import check_geometry, check_specs, fits_bulk, split_nulls, with_elemental_ids
from ._wire import encode
from .errors import IncompleteAnswer, InvalidRequest, NotFound, ServerFailed, StaleRow, TatorError
from .models import LocalizationType
from .rows import Localization, State

# In place, 5,000 rows take Tator a second; with new marks 500 do, and twice as many take four times as long.
_IN_PLACE_ROWS = 5_000
_NEW_MARK_ROWS = 500
# Single edits: eight at a time are not twice as fast as one.
_EDITORS = 4
T = TypeVar("T")

_DONE = re.compile(r"Successfully (?:updated|deleted) (\d+)")


@dataclass(frozen=True, slots=True)
class Change:
    """One set of attributes for many localizations.

    Args:
        values: attributes to set
        nulls: names of attributes to set to null
        in_place: whether to change the rows themselves instead of adding marks
    """

    values: Mapping[str, Any]
    nulls: Sequence[str]
    in_place: bool

    @classmethod
    def of(cls, attributes: Mapping[str, Any], null_attributes: Sequence[str], *, in_place: bool) -> Change:
        """Makes a change of what a caller asks for, where a value of ``None`` sets null."""
        return cls(*split_nulls(attributes, null_attributes), in_place)

    def __bool__(self) -> bool:
        return bool(self.values or self.nulls)

    @property
    def fits_bulk(self) -> bool:
        """Whether a bulk edit can carry it."""
        return fits_bulk(self.values, self.nulls)

    @property
    def rows(self) -> int:
        """The number of rows for one request."""
        return _IN_PLACE_ROWS if self.in_place else _NEW_MARK_ROWS

    @property
    def body(self) -> dict[str, Any]:
        """What a bulk edit sends, without the elements."""
        body: dict[str, Any] = {"attributes": dict(self.values)} if self.values else {}
        body |= {"null_attributes": list(self.nulls)} if self.nulls else {}
        return body | ({"in_place": 1} if self.in_place else {})


class Writes(Connected):
    """The part of a session that changes something on the server.

    A call is repeated after a failure only if repeating it cannot do harm. An error whose
    ``outcome_unknown`` is true may have arrived: read before writing again.
    """

    def create_localizations(
        self,
        project: int,
        specs: Sequence[Mapping[str, Any]],
        *,
        types: Sequence[LocalizationType] = (),
        on_chunk: Callable[[list[int]], None] | None = None,
    ) -> list[int]:
        """Creates localizations, or new marks of those whose ``elemental_id`` exists.

        A new mark is a row in full: attributes left out get their defaults.

        Args:
            project: the project's id
            specs: what to create: ``type``, ``media_id``, ``version``, ``frame``, geometry,
                ``attributes`` and ``elemental_id``, which is added where missing
                (see :func:`with_elemental_ids` to know it beforehand)
            types (()): types to check the names of attributes against: the server drops
                attributes it does not know without a word
            on_chunk (None): called with the new ids after each request (up to 500 rows)

        Returns:
            ids of the new rows in the order of the specs

        Raises:
            InvalidRequest: if a spec is refused; the chunk it is in was not written
            TatorError: if the server fails; ``on_chunk`` was told what had been written
        """
        check_specs(specs, types)
        path = f"Localizations/{int(project)}"
        rows = with_elemental_ids(specs)
        created: list[int] = []
        for start, stop in by_bytes([encode(row, path) for row in rows]):
            ids = self._post(path, rows[start:stop])
            created += ids
            if on_chunk is not None:
                on_chunk(ids)
        return created

    def _post(self, path: str, rows: Sequence[Mapping[str, Any]], *, repeat: bool = True) -> list[int]:
        # With ids of our own a repeated request makes one more mark at worst, not a second element.
        answer = self._wire.call("POST", path, body=rows, harmless=repeat)
        ids = answer.get("id") if isinstance(answer, dict) else None
        if not isinstance(ids, list) or len(ids) != len(rows):
            raise IncompleteAnswer(
                f"Tator did not confirm all of {len(rows)} new localizations. Read them by their "
                "elemental_id before creating them again.",
                outcome_unknown=True,
            )
        return ids

    def update_localization(
        self,
        version: int,
        elemental_id: str,
        *,
        attributes: Mapping[str, Any] | None = None,
        null_attributes: Sequence[str] = (),
        geometry: Mapping[str, Any] | None = None,
        in_place: bool = False,
        only_if_id: int | None = None,
        user_elemental_id: str | None = None,
    ) -> Localization:
        """Edits one localization.

        Args:
            version: the version's id
            elemental_id: the element
            attributes (None): attributes to set; a value of ``None`` sets null
            null_attributes (()): names of attributes to set to null
            geometry (None): ``x``, ``y``, ``width``, ``height``, ``u``, ``v``, ``points``,
                ``frame`` to set
            in_place (False): whether to change the row itself instead of adding a mark; right
                for members of tracks, which keep ids
            only_if_id (None): edit only if this is still the id of the newest mark
            user_elemental_id (None): make this user the author (needs Full Control); such an edit is
                always made in place

        Returns:
            the row as it is now

        Raises:
            NotFound: if it does not exist or has been deleted
            StaleRow: if ``only_if_id`` is not the newest mark
            InvalidRequest: if the server refuses a value, or would ignore it (sizes of 0)
            TatorError: if the server fails
        """
        values, nulls = split_nulls(attributes, null_attributes)
        body = check_geometry(geometry or {})
        body |= {"attributes": values} if values else {}
        body |= {"null_attributes": nulls} if nulls else {}
        body |= {"user_elemental_id": user_elemental_id} if user_elemental_id is not None else {}
        if not body:
            raise InvalidRequest(f"There is nothing to change in localization {elemental_id}.")
        body |= {"in_place": 1} if in_place else {}
        path = f"Localization/{int(version)}/{quote(elemental_id, safe='')}"
        if only_if_id is not None:
            path = f"Localization/{int(only_if_id)}"
            body["pedantic"] = 1
        # In place the same edit twice is the same edit; otherwise it is one more mark.
        answer = self._wire.call("PATCH", path, body=body, harmless=in_place and only_if_id is None)
        row = made(lambda data: Localization.from_json(data["object"]), answer, path)
        if row.deleted:
            raise NotFound(
                f"Localization {elemental_id} in version {version} has been deleted in Tator, and stays so after the "
                "edit. Create it again under its elemental_id to bring it back."
            )
        return row

    def update_localizations(
        self,
        project: int,
        version: int,
        elemental_ids: Sequence[str],
        attributes: Mapping[str, Any],
        *,
        null_attributes: Sequence[str] = (),
        in_place: bool = False,
    ) -> int:
        """Sets the same attributes on many localizations of one type.

        Values that a bulk edit cannot carry (quotes, percent signs, control characters)
        travel as single edits.

        Args:
            project: the project's id
            version: the version's id
            elemental_ids: the elements; none writes nothing (and asks nothing)
            attributes: attributes to set; a value of ``None`` sets null
            null_attributes (()): names of attributes to set to null
            in_place (False): whether to change the rows themselves instead of adding marks.
                Changes in bulk and in place do not move ``modified_datetime``

        Returns:
            the number of localizations changed

        Raises:
            StaleRow: if the server finds another number of elements; it changes none of that request
            InvalidRequest: if a value is refused
            TatorError: if the server fails; part of the elements may have been written
        """
        change = Change.of(attributes, null_attributes, in_place=in_place)
        elements = elements_of(elemental_ids) if change else []
        if not change.fits_bulk:
            self._for_each(elements, lambda element: self._edit(version, element, change))
            return len(elements)
        for chunk in chunks(elements, change.rows):
            self._bulk("PATCH", project, version, chunk, change.body, harmless=in_place)
        return len(elements)

    def _edit(self, version: int, element: str, change: Change) -> None:
        self.update_localization(
            version, element, attributes=change.values, null_attributes=change.nulls, in_place=change.in_place
        )

    def _for_each(self, elements: Sequence[str], edit: Callable[[str], T]) -> list[T]:
        with ThreadPoolExecutor(min(_EDITORS, self._wire.concurrency), thread_name_prefix="tator-edits") as pool:
            futures = [pool.submit(edit, element) for element in elements]
            try:
                return [future.result() for future in futures]
            finally:
                pool.shutdown(cancel_futures=True)

    def _bulk(
        self,
        method: str,
        project: int,
        version: int,
        elements: Sequence[str],
        body: Mapping[str, Any],
        *,
        harmless: bool,
    ) -> None:
        if not elements:
            # To Tator an empty list means everything.
            raise InvalidRequest("A change in bulk needs elements to change; an empty list would change all of them.")
        path = f"Localizations/{int(project)}"
        query = {"version": int(version), "count": len(elements)}
        answer = self._wire.call(
            method, path, params=query, body={**body, "elemental_ids": list(elements)}, harmless=harmless
        )
        message = str(answer.get("message")) if isinstance(answer, dict) else ""
        done = _DONE.match(message)
        if done is None or int(done[1]) != len(elements):
            raise ServerFailed(
                f"Tator was to change {len(elements)} localizations and reports {message[:100]!r}. Read them again.",
                outcome_unknown=True,
            )

    def delete_localizations(self, project: int, version: int, elemental_ids: Sequence[str]) -> int:
        """Deletes localizations (softly: a tombstone stays, and creating it again revives it).

        Args:
            project: the project's id
            version: the version's id
            elemental_ids: the elements; none deletes nothing (and asks nothing). Those that
                are deleted already are left alone

        Returns:
            the number of localizations deleted

        Raises:
            TatorError: if the server fails; part of the elements may have been deleted
        """
        deleted = 0
        for chunk in chunks(elements_of(elemental_ids), _NEW_MARK_ROWS):
            most = 0
            for attempt in self._wire.attempts(on=_look_again):
                with attempt:
                    # What is there decides anew each time: the attempt before may have arrived.
                    rows = self.read_visible(project, version, chunk)
                    most = max(most, len(rows))
                    if rows:
                        self._bulk("DELETE", project, version, sorted(rows), {}, harmless=False)
            deleted += most
        return deleted

    def read_visible(self, project: int, version: int, elemental_ids: Sequence[str]) -> set[str]:
        """Returns which of the elements exist and are not deleted.

        Args:
            project: the project's id
            version: the version's id
            elemental_ids: the elements; none asks nothing

        Raises:
            TatorError: if the server fails
        """
        path = f"Localizations/{int(project)}"
        query: dict[str, str | int] = {"version": int(version), "merge": 0, "fields": "id,elemental_id"}
        found: set[str] = set()
        for chunk in chunks(elements_of(elemental_ids)):
            rows = rows_of(self._wire.put(path, {"elemental_ids": chunk}, query), path)
            found |= {row["elemental_id"] for row in rows} & set(chunk)
        return found

    def update_state_members(
        self, state: int, *, add: Sequence[int] = (), remove: Sequence[int] = (), in_place: bool = False
    ) -> State:
        """Changes which localizations belong to a track.

        Args:
            state: id of the newest mark of the state
            add (()): ids of localizations to add
            remove (()): ids of localizations to take out
            in_place (False): whether to keep the state's id instead of adding a mark

        Returns:
            the state as it is now, with a new id unless ``in_place``

        Raises:
            TatorError: if the server refuses or fails
        """
        body: dict[str, Any] = {"localization_ids_add": unique(add)} if add else {}
        body |= {"localization_ids_remove": unique(remove)} if remove else {}
        if body:
            body |= {"in_place": 1} if in_place else {}
            answer = self._wire.call("PATCH", f"State/{int(state)}", body=body, harmless=in_place)
            # The object in this answer has neither localizations nor media.
            state = made(lambda data: int(data["object"]["id"]), answer, f"State/{state}")
        return self._one(f"State/{int(state)}", State.from_json)


def elements_of(elemental_ids: Sequence[str]) -> list[str]:
    """Returns the elements as the server writes them, each once."""
    return unique([each.lower() for each in elemental_ids])


def _look_again(error: Exception) -> bool:
    # A deletion may have arrived, or somebody else was faster: what is left tells.
    return isinstance(error, StaleRow) or (isinstance(error, TatorError) and error.outcome_unknown)
