from collections.abc import Iterator

import pytest

from fiftyone_tator.sandbox.demo import Content, Demo, add_demo, build_demo
from fiftyone_tator.sandbox.pictures import Source, load_sources
from fiftyone_tator.sandbox.seed import Seeded, seed
from fiftyone_tator.sandbox.store import Store


@pytest.fixture(scope="session")
def sources() -> dict[str, Source]:
    return load_sources()


@pytest.fixture(scope="session")
def content() -> Content:
    return build_demo()


@pytest.fixture(scope="session")
def demo_store() -> Iterator[tuple[Store, Seeded, Demo]]:
    store = Store()
    seeded = seed(store)
    yield store, seeded, add_demo(store, seeded)
    store.close()


@pytest.fixture
def empty_store() -> Iterator[tuple[Store, Seeded]]:
    store = Store()
    yield store, seed(store)
    store.close()
