"""Writing many localizations so that those which are refused do not hold up the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ._chunks import by_bytes, chunks
from ._values import refusals, with_elemental_ids
from ._wire import encode
from .errors import InvalidRequest, NotFound, StaleRow, TatorError
from .models import LocalizationType
from .writes import Change, Writes, elements_of

# How often to look which elements are left, while others delete them.
_LOOKS = 3


class EachWrites(Writes):
    """The part of a session that tells for each localization whether it could be written."""

    def create_each(
        self,
        project: int,
        specs: Sequence[Mapping[str, Any]],
        *,
        types: Sequence[LocalizationType] = (),
        on_chunk: Callable[[dict[int, int | TatorError]], None] | None = None,
        repeat: bool = True,
    ) -> list[int | TatorError]:
        """Creates localizations (or new marks) as :meth:`create_localizations`, all but those that are refused.

        A request that is refused is cut in halves until the specs at fault are found.

        Args:
            project: the project's id
            specs: what to create, as for :meth:`create_localizations`
            types (()): types to check the names of attributes against
            on_chunk (None): called after each request with what became of its specs, by their
                index in ``specs``: a new id, or the reason for the refusal
            repeat (True): whether to repeat a request of which nobody knows whether it arrived,
                at the price of one more mark if it had

        Returns:
            for each spec its new id, or the reason for the refusal

        Raises:
            TatorError: if the server fails, or the user may not write; ``on_chunk`` was told what
                had been decided
        """
        path = f"Localizations/{int(project)}"
        rows = with_elemental_ids(specs)
        outcomes: dict[int, int | TatorError] = {**refusals(specs, types)}
        pieces: dict[int, bytes] = {}
        for index, row in enumerate(rows):
            try:
                pieces[index] = encode(row, path)
            except InvalidRequest as reason:
                outcomes.setdefault(index, reason)
        if outcomes and on_chunk is not None:
            on_chunk(dict(outcomes))
        indexes = [index for index in pieces if index not in outcomes]
        for start, stop in by_bytes([pieces[index] for index in indexes]):
            for some in self._create_some(path, rows, indexes[start:stop], repeat):
                outcomes.update(some)
                if on_chunk is not None:
                    on_chunk(some)
        return [outcomes[index] for index in range(len(rows))]

    def _create_some(
        self, path: str, rows: Sequence[Mapping[str, Any]], indexes: Sequence[int], repeat: bool
    ) -> Iterator[dict[int, int | TatorError]]:
        try:
            ids = self._post(path, [rows[index] for index in indexes], repeat=repeat)
        except InvalidRequest as reason:
            refusal = reason
        else:
            yield dict(zip(indexes, ids, strict=True))
            return
        if len(indexes) == 1:
            yield {indexes[0]: refusal}
            return
        middle = len(indexes) // 2
        yield from self._create_some(path, rows, indexes[:middle], repeat)
        yield from self._create_some(path, rows, indexes[middle:], repeat)

    def update_each(
        self,
        project: int,
        version: int,
        elemental_ids: Sequence[str],
        attributes: Mapping[str, Any],
        *,
        null_attributes: Sequence[str] = (),
        in_place: bool = False,
    ) -> dict[str, TatorError]:
        """Sets the same attributes on many localizations as :meth:`update_localizations`, on all that are there.

        Args:
            project: the project's id
            version: the version's id
            elemental_ids: the elements; none writes nothing (and asks nothing)
            attributes: attributes to set; a value of ``None`` sets null
            null_attributes (()): names of attributes to set to null
            in_place (False): whether to change the rows themselves instead of adding marks

        Returns:
            the elements that could not be written, in lower case, with the reason: ``NotFound``
            for what does not exist or has been deleted, ``InvalidRequest`` for what the server
            refuses; empty if all were written

        Raises:
            TatorError: if the server fails, or the user may not write; part of the elements may
                have been written
        """
        change = Change.of(attributes, null_attributes, in_place=in_place)
        elements = elements_of(elemental_ids) if change else []
        update = self._update_together if change.fits_bulk else self._update_singly
        failed: dict[str, TatorError] = {}
        for chunk in chunks(elements, change.rows):
            failed |= update(project, version, chunk, change)
        return failed

    def _update_together(
        self, project: int, version: int, elements: Sequence[str], change: Change
    ) -> dict[str, TatorError]:
        failed: dict[str, TatorError] = {}
        reason: TatorError | None = None
        for _ in range(_LOOKS):
            try:
                self._bulk("PATCH", project, version, elements, change.body, harmless=change.in_place)
                return failed
            except StaleRow as error:
                reason = error
            except InvalidRequest as error:
                return failed | dict.fromkeys(elements, error)
            elements, gone = self._look(project, version, elements)
            failed |= gone
            if not elements:
                return failed
        assert reason is not None
        return failed | dict.fromkeys(elements, reason)

    def _update_singly(
        self, project: int, version: int, elements: Sequence[str], change: Change
    ) -> dict[str, TatorError]:
        def edit(element: str) -> TatorError | None:
            try:
                self._edit(version, element, change)
            except (InvalidRequest, NotFound) as error:
                return error
            return None

        # An edit of what is deleted would add a tombstone.
        there, failed = self._look(project, version, elements)
        outcomes = zip(there, self._for_each(there, edit), strict=True)
        return failed | {element: error for element, error in outcomes if error is not None}

    def _look(self, project: int, version: int, elements: Sequence[str]) -> tuple[list[str], dict[str, TatorError]]:
        # Returns the elements that are there, and the others with a reason.
        visible = self.read_visible(project, version, elements)
        gone: dict[str, TatorError] = {
            element: NotFound(
                f"Localization {element} does not exist in version {version} of Tator, or has been deleted there. "
                "Create it again under its elemental_id to bring it back."
            )
            for element in elements
            if element not in visible
        }
        return [element for element in elements if element in visible], gone
