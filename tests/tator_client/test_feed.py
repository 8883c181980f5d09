from __future__ import annotations

import threading
from typing import Any

from fiftyone_tator.tator_client import Tator

State = dict[str, tuple[int, bool, Any]]


def apply(state: State, rows: list[Any]) -> None:
    for row in rows:
        if row.elemental_id not in state or state[row.elemental_id][0] <= row.mark:
            state[row.elemental_id] = (row.mark, row.deleted, row.attributes["Label"])


def write_for_a_while(scene: Any, elements: list[str], over: threading.Event) -> None:
    with Tator(scene.sandbox.url, scene.sandbox.tokens["editor"]) as other:
        for turn in range(40):
            if over.is_set():
                break
            some = elements[turn % 7 : turn % 7 + 5]
            other.update_each(scene.project, scene.version, some, {"Label": f"turn {turn}"})
            other.create_localizations(scene.project, [scene.spec(f"new {turn}")])
            other.delete_localizations(scene.project, scene.version, elements[20 + turn % 10 :][:1])


def test_feeds_read_while_somebody_writes_add_up(scene: Any) -> None:
    """One feed after the other, each from the highest id seen, ends in exactly what the server holds."""
    elements = scene.make(30)
    state: State = {}
    first = scene.all(show_deleted=True)
    apply(state, first)
    last = max(row.id for row in first)
    over = threading.Event()
    writer = threading.Thread(target=write_for_a_while, args=(scene, elements, over))
    writer.start()
    try:
        for _ in range(15):
            feed = scene.all(after=last, show_deleted=True, page_size=3)
            assert all(row.id > last for row in feed)
            apply(state, feed)
            last = max((row.id for row in feed), default=last)
    finally:
        over.set()
        writer.join()
    apply(state, scene.all(after=last, show_deleted=True))
    whole: State = {}
    apply(whole, scene.all(show_deleted=True))
    assert state == whole


def test_a_feed_is_counted_by_its_own_filters(scene: Any) -> None:
    """Pages and counts of a feed ask for the same rows: above the id, deleted ones too, parents too."""
    elements = scene.make(4)
    last = max(row.id for row in scene.all())
    scene.tator.delete_localizations(scene.project, scene.version, elements[:3])
    scene.requests("* /")
    scene.sandbox.faults.forget()
    assert len(scene.all(after=last, show_deleted=True, page_size=2)) == 3
    counts = scene.requests("GET /rest/LocalizationCount")
    assert len(counts) == 2
    for each in (*counts, *scene.requests("GET /rest/Localizations")):
        assert {"merge=0", "show_deleted=1", f"version={scene.version}"} <= set(each["query"].split("&"))
    assert all(f"after={last}" in each["query"].split("&") for each in counts)
