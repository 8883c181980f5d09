from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fiftyone_tator.tator_client import IncompleteAnswer, InvalidRequest, Localization, ServerFailed, Tator
from fiftyone_tator.tator_client._paging import agree, smaller

Change = tuple[str, int]


class Rows(httpx.BaseTransport):
    """A list of localizations as Tator keeps it; each page is followed by some of the changes."""

    def __init__(self, count: int, changes: list[list[Change]] | None = None, *, wrong_counts: int = 0) -> None:
        self.marks: dict[str, tuple[int, int]] = {}
        self.tombs: dict[str, tuple[int, int]] = {}
        self.last = 0
        self.pages = 0
        self.wrong_counts = wrong_counts
        self.changes = list(changes or [])
        self.seen: list[httpx.Request] = []
        for _ in range(count):
            self.apply(("add", 0))

    def apply(self, change: Change) -> None:
        what, which = change
        names = sorted(self.marks)
        self.last += 3
        if what == "add":
            self.marks[f"e{self.last}"] = (self.last, 0)
        elif names:
            name = names[which % len(names)]
            mark = self.marks.pop(name)[1]
            kept = self.marks if what == "edit" else self.tombs
            kept[name] = (self.last, mark + 1)

    def shown(self, query: dict[str, str]) -> dict[str, tuple[int, int]]:
        return {**self.marks, **self.tombs} if query.get("show_deleted") == "1" else self.marks

    def row(self, name: str) -> dict[str, Any]:
        number, mark = {**self.marks, **self.tombs}[name]
        empty = dict.fromkeys(("x", "y", "width", "height", "u", "v", "points", "parent", "user"))
        by = {"created_by": 1, "modified_by": 1, "created_datetime": "", "modified_datetime": ""}
        return {
            **{"id": number, "type": 1, "media": 1, "version": 2, "frame": 0, "attributes": {}},
            **{"elemental_id": name, "mark": mark, "variant_deleted": name in self.tombs},
            **empty,
            **by,
        }

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        query = dict(request.url.params)
        shown = self.shown(query)
        rows = sorted((number, name) for name, (number, _) in shown.items() if number > int(query.get("after", 0)))
        if "Count" in request.url.path:
            extra, self.wrong_counts = min(1, self.wrong_counts), max(0, self.wrong_counts - 1)
            return httpx.Response(200, json=len(rows) + 5 * extra)
        if request.method == "PUT":
            wanted = json.loads(request.read())["elemental_ids"]
            return httpx.Response(200, json=[self.row(name) for name in wanted if name in shown])
        answer = httpx.Response(200, json=[self.row(name) for _, name in rows[: int(query["stop"])]])
        self.pages += 1
        for change in self.changes.pop(0) if self.changes else ():
            self.apply(change)
        return answer


def read(rows: Rows, **options: Any) -> list[Localization]:
    with Tator("http://tator.test", "secret", transport=rows) as tator:
        return [row for page in tator.iter_localizations(1, types=[1], versions=[2], **options) for row in page]


sizes = st.integers(1, 12)


@given(count=st.integers(0, 40), page_size=sizes)
@settings(deadline=None)
def test_each_row_is_read_once(count: int, page_size: int) -> None:
    """Whatever the number of rows and the page size, each row is on exactly one page, in order of ids."""
    rows = Rows(count)
    assert [row.id for row in read(rows, page_size=page_size)] == sorted(number for number, _ in rows.marks.values())


changes = st.lists(st.lists(st.tuples(st.sampled_from(["edit", "add", "edit"]), st.integers(0, 99)), max_size=4))


@given(count=st.integers(0, 30), page_size=sizes, changes=changes)
@settings(deadline=None)
def test_edits_between_pages_lose_nothing(count: int, page_size: int, changes: list[list[Change]]) -> None:
    """Elements that are edited while pages are read are read, and those that are added do no harm."""
    rows = Rows(count, changes)
    at_start = dict(rows.marks)
    best: dict[str | None, int] = {}
    for row in read(rows, page_size=page_size):
        best[row.elemental_id] = max(row.mark, best.get(row.elemental_id, 0))
    assert best.keys() >= at_start.keys()


deletions = st.lists(
    st.lists(st.tuples(st.sampled_from(["edit", "add", "delete"]), st.integers(0, 99)), max_size=4), max_size=8
)


@given(count=st.integers(0, 30), page_size=sizes, changes=deletions)
@settings(deadline=None)
def test_elements_that_survive_are_read_or_the_reading_fails(
    count: int, page_size: int, changes: list[list[Change]]
) -> None:
    """When elements are deleted meanwhile, those that remain are all read, or nothing is concluded."""
    rows = Rows(count, changes)
    at_start = set(rows.marks)
    try:
        found = {row.elemental_id for row in read(rows, page_size=page_size)}
    except IncompleteAnswer:
        return
    assert found >= at_start & set(rows.marks)


@given(count=st.integers(0, 20), page_size=sizes, earlier=deletions, changes=deletions)
@settings(deadline=None)
def test_a_feed_holds_all_changes_since_an_id(
    count: int, page_size: int, earlier: list[list[Change]], changes: list[list[Change]]
) -> None:
    """Whatever is written while it is read, a feed has the state of everything changed before it began, or a later."""
    rows = Rows(count, changes)
    last = rows.last
    for change in (each for some in earlier for each in some):
        rows.apply(change)
    due = {name: mark for name, (number, mark) in rows.shown({"show_deleted": "1"}).items() if number > last}
    found: dict[str | None, int] = {}
    for row in read(rows, page_size=page_size, after=last, show_deleted=True):
        assert row.id > last
        found[row.elemental_id] = max(row.mark, found.get(row.elemental_id, 0))
    assert all(found[name] >= mark for name, mark in due.items())


def test_a_row_missing_from_a_feed_is_fetched() -> None:
    """The rows of a feed are counted above its id, with deleted ones, and a tombstone that was left out is found."""

    class Forgetful(Rows):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            answer = super().handle_request(request)
            if request.method == "GET" and "stop" in request.url.params and self.pages == 1:
                return httpx.Response(200, json=json.loads(answer.content)[:-1])
            return answer

    rows = Forgetful(5)
    last = rows.last
    for change in (("edit", 0), ("add", 0), ("delete", 1)):
        rows.apply(change)
    found = read(rows, page_size=5, after=last, show_deleted=True)
    assert len(found) == 3 and found[-1].deleted
    counts = [dict(each.url.params) for each in rows.seen if "Count" in each.url.path]
    lists = [dict(each.url.params) for each in rows.seen if each.method == "GET" and "Count" not in each.url.path]
    (same,) = {tuple(sorted(query.items())) for query in counts}
    assert dict(same) == {"type": "1", "version": "2", "merge": "0", "show_deleted": "1", "after": f"{last}"}
    assert len(counts) >= 3 and all(dict(same).items() <= query.items() for query in lists)


def test_rows_missing_from_the_pages_are_fetched() -> None:
    """When the counts disagree, the keys are read again and what was missed is fetched by element."""

    class Forgetful(Rows):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            answer = super().handle_request(request)
            if request.method == "GET" and "stop" in request.url.params and self.pages == 1:
                return httpx.Response(200, json=json.loads(answer.content)[:-2])
            return answer

    rows = Forgetful(5)
    found = read(rows, page_size=5)
    assert {row.elemental_id for row in found} == set(rows.marks)
    assert rows.seen[-1].method == "PUT"


def test_counts_that_never_agree_fail_the_reading() -> None:
    """Rows that disagree with the counts, also when read again twice, are no basis for anything."""
    rows = Rows(5, wrong_counts=100)
    pages: list[list[Localization]] = []
    with (
        Tator("http://tator.test", "secret", transport=rows) as tator,
        pytest.raises(IncompleteAnswer, match="Nothing may be concluded"),
    ):
        pages.extend(tator.iter_localizations(1, types=[1], versions=[2], page_size=2))
    assert sum(map(len, pages)) == 5


def test_no_types_or_versions_ask_nothing() -> None:
    """An empty list of types, versions, elements or media chooses nothing, and nothing is sent."""
    rows = Rows(5)
    with Tator("http://tator.test", "secret", transport=rows) as tator:
        assert list(tator.iter_localizations(1, types=[], versions=[2])) == []
        assert list(tator.iter_localizations(1, types=[1], versions=[])) == []
        assert tator.read_localizations(1, elemental_ids=[], version=2) == []
        assert tator.medias(1, []) == []
        assert tator.count_localizations(1, version=[]) == 0
        assert tator.count_localizations(1, media_ids=[]) == 0
    assert rows.seen == []


def test_progress_is_told_in_rows() -> None:
    """on_page hears of the rows read and the rows expected."""
    told: list[tuple[int, int]] = []
    read(Rows(5), page_size=2, on_page=lambda done, expected: told.append((done, expected)))
    assert told == [(2, 5), (4, 5), (5, 5)]


def test_rows_that_were_not_asked_for_are_refused() -> None:
    """A server that ignores the filters is not believed."""

    class Careless(Rows):
        def row(self, name: str) -> dict[str, Any]:
            return {**super().row(name), "version": 3}

    with pytest.raises(ServerFailed, match="version"):
        read(Careless(3))


def test_pages_that_repeat_rows_are_refused() -> None:
    """A server that ignores `after` would make the reading endless, and is refused."""

    class Repeating(Rows):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            url = request.url.copy_remove_param("after")
            return super().handle_request(httpx.Request(request.method, url, stream=request.stream))

    with pytest.raises(ServerFailed, match="out of order"):
        read(Repeating(4), page_size=2)


def test_unknown_fields_are_refused_before_asking() -> None:
    """A field that does not exist, to which Tator answers with nothing, is not asked for."""
    rows = Rows(1)
    with Tator("http://tator.test", "secret", transport=rows) as tator:
        with pytest.raises(InvalidRequest, match="'label'"):
            tator.iter_localizations(1, types=[1], versions=[2], raw=True, fields=["label"])
        with pytest.raises(InvalidRequest, match="raw=True"):
            tator.iter_localizations(1, types=[1], versions=[2], fields=["x"])  # type: ignore[call-overload]
    assert rows.seen == []


def test_leaving_the_iterator_early_is_harmless() -> None:
    """A caller may stop after the first page."""
    with Tator("http://tator.test", "secret", transport=Rows(9)) as tator:
        pages = tator.iter_localizations(1, types=[1], versions=[2], page_size=2)
        assert len(next(pages)) == 2
        pages.close()  # type: ignore[attr-defined]


@given(st.integers(1, 9999), st.integers(1, 9999), st.integers(0, 20))
def test_spoilt_pages_shrink_until_they_cannot(size: int, remaining: int, times: int) -> None:
    """Each further try asks for fewer rows than there are, so that the answer is another one."""
    assert smaller(size, remaining, 0) == size
    assert smaller(size, remaining, times + 1) < min(size, remaining)
    assert smaller(size, remaining, times + 1) <= smaller(size, remaining, times)


@given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))
def test_a_number_between_the_counts_agrees(distinct: int, before: int, after: int) -> None:
    """A live project may grow or shrink while it is read; rows outside both counts are wrong."""
    assert agree(distinct, before, after) == (sorted((before, distinct, after))[1] == distinct)
