"""Embeddings in the App: from the form to a map, to similar samples, to labels worth a second look."""

import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import pytest
from bson import ObjectId

from fiftyone_tator.embeddings.vectors import unpack
from fiftyone_tator.tests.embeddings.fastvss_model import Project
from fiftyone_tator.tests.embeddings.fastvss_server import FastVSSServer, running

DEMO = "Demo: galaxies, coins and cells"
AWAY = "http://127.0.0.1:9"
MANY = 1131

# What the App's server keeps of a dataset, such as its view, would meet the next test: each has a dataset of its own.
# All of them remember a project that the service does not have.
PROGRAM = """
import sys

import fiftyone as fo
import fiftyone.operators as foo

foo.get_operator("@tator/sync/import_from_tator")(
    sys.argv[1], versions=["Baseline"], types=["Object"], dataset_name="plain"
)
plain = fo.load_dataset("plain")
plain.app_config.plugins = {"@tator/sync": {"embeddings": {"project": "forgotten"}}}
plain.save()
plain.clone("scheduled", persistent=True)
embedded = plain.clone("embedded", persistent=True)
foo.get_operator("@tator/sync/compute_fastvss_embeddings")(embedded, service="local", similarity=True)
embedded.clone("doubted", persistent=True)
embedded.limit(200).clone("charted", persistent=True)
"""


@pytest.fixture(scope="module")
def fastvss() -> Iterator[FastVSSServer]:
    with running(Project("reef"), Project("canyon", 768)) as server:
        yield server


@pytest.fixture(scope="module")
def app(apps: Any, tator: Any, fastvss: FastVSSServer, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An App that knows two Fast-VSS, one of which is away; with crops that have embeddings, and crops without."""
    services = f"{fastvss.url},{AWAY}"
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FASTVSS_API_URL", services)
        found = apps.start(f"app_embeddings_{os.getpid()}", tator.url, tator.tokens["editor"])
    found.env["FASTVSS_API_URL"] = services
    command = [sys.executable, "-c", PROGRAM, DEMO]
    subprocess.run(command, env={**os.environ, **found.env}, check=True, cwd=tmp_path_factory.mktemp("cwd"))
    return found


@pytest.fixture(scope="module")
def worker(app: Any, processes: Any) -> Iterator[Any]:
    """``fiftyone delegated launch`` on this App's database."""
    process = processes.start(str(Path(sys.executable).with_name("fiftyone")), "delegated", "launch", **app.env)
    yield process
    process.stop()


class Bench:
    """The App with a dataset and the forms for embeddings, as a person uses them."""

    def __init__(self, page: Any, app: Any, wait_for: Callable[..., Any]) -> None:
        self.page, self.app, self.wait_for = page, app, wait_for
        page.set_viewport_size({"width": 1600, "height": 1000})

    def visit(self, dataset: str, samples: int = MANY) -> "Bench":
        self.dataset = dataset
        self.page.goto(f"{self.app.url}/datasets/{dataset}")
        return self.shows(samples)

    def shows(self, samples: int) -> "Bench":
        """Waits until the grid says that it shows so many."""
        self.page.locator("[data-cy=entry-counts]").get_by_text(f"{samples:,} samples", exact=True).wait_for()
        self.page.locator("[data-cy=tag-ground_truth]").first.wait_for()
        return self

    def browse(self, label: str) -> "Bench":
        """Opens an operator from the list of all."""
        search = self.page.get_by_placeholder("Search operations by name...")

        def opened() -> bool:
            if not search.is_visible():
                self.page.keyboard.press("`")
            return bool(search.is_visible())

        self.wait_for(opened, "the operator browser")
        search.fill(label)
        self.page.get_by_text(label, exact=True).first.click()
        return self

    def sees(self, text: Any) -> "Bench":
        self.page.get_by_text(text).first.wait_for()
        return self

    def choose(self, label: str, option: str) -> "Bench":
        cell = self.page.locator(".MuiGrid-item").filter(has=self.page.get_by_text(label, exact=True))
        cell.get_by_role("combobox").last.click()
        self.page.get_by_role("option").filter(has_text=option).first.click()
        self.page.get_by_role("listbox").wait_for(state="hidden")
        return self

    def submit(self, how: str) -> "Bench":
        self.page.get_by_role("group", name="split button").get_by_role("button").nth(1).click()
        self.page.get_by_role("menuitem").filter(has_text=how).first.click()
        button = self.page.get_by_role("button", name=how, exact=True)
        self.wait_for(button.is_enabled, "the form to be resolved")
        button.click()
        return self

    def done(self) -> "Bench":
        self.page.get_by_role("button", name="Done").click()
        return self

    def map(self, key: str, points: int) -> Any:
        """Waits until the Embeddings panel shows a map; gives the place where it is drawn."""
        self.page.locator(".emb-plot-title").get_by_text(key, exact=True).wait_for()
        self.page.locator(".emb-plot-counter").get_by_text(f"{points:,} points").wait_for()
        self.page.locator(".emb-legend-row").first.wait_for()
        return self.page.locator(".emb-plot-scene")

    def lasso(self, scene: Any, *corners: tuple[float, float]) -> dict[str, Any]:
        """Draws around points, in parts of the scene; gives the view stage that FiftyOne makes of it."""
        self.page.get_by_role("button", name="Select", exact=True).click()
        box = scene.bounding_box()
        places = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in corners]
        with self.page.expect_response("**/embeddings/v2/lasso-stage") as answer:
            self.page.mouse.move(*places[0])
            self.page.mouse.down()
            for x, y in [*places[1:], places[0]]:
                self.page.mouse.move(x, y, steps=8)
            self.page.mouse.up()
        return dict(answer.value.json())

    def asks(self, path: str, **about: Any) -> bytes:
        """What the App's server says."""
        body = json.dumps({"datasetName": self.dataset, **about}).encode()
        request = Request(self.app.url + path, body, {"Content-Type": "application/json"})
        with urlopen(request, timeout=30) as answer:
            return bytes(answer.read())

    def points(self, key: str) -> dict[str, tuple[float, float]]:
        """The places of samples in a map, by their ids."""
        places, ids = (self.asks(f"/embeddings/v2/{what}", brainKey=key) for what in ("geometry", "ids"))
        _, _, _, width, count, _ = struct.unpack_from("<IHBBII", places)
        columns = np.frombuffer(places, "<f4", count * width, 16).reshape(width, count)
        names = [ids[16 + 12 * row : 28 + 12 * row].hex() for row in range(count)]
        return {name: (float(x), float(y)) for name, x, y in zip(names, *columns[:2], strict=True)}

    def samples(self, dataset: str | None = None) -> list[dict[str, Any]]:
        """The samples as MongoDB has them, in the order of the grid."""
        rows = self.app.collections()
        (found,) = [row for row in rows["datasets"] if row["name"] == (dataset or self.dataset)]
        return sorted(rows[found["sample_collection_name"]], key=lambda sample: sample["_id"])


@pytest.fixture
def bench(page: Any, app: Any, wait_for: Callable[..., Any]) -> Iterator[Bench]:
    found = Bench(page, app, wait_for)
    yield found
    # The App's server keeps for the next page which samples are selected.
    page.evaluate("__foo__.executeOperator('@voxel51/operators/clear_selected_samples')")


def test_the_form_embeds_and_opens_the_map_and_a_lasso_shows_just_what_is_in_it(
    bench: Bench, page: Any, picture: Callable[[str], None]
) -> None:
    bench.visit("plain").browse("Compute embeddings (Fast-VSS)").choose("Service", "This machine")
    bench.sees("Ready: a descriptor of gradients").sees("256 numbers").sees("1,131 pictures")
    bench.choose("Map", "PCA")
    picture("embeddings-form")
    bench.submit("Compute").sees("plain: 1,131 pictures embedded").sees("The map descriptor_pca of 1,131 samples")
    bench.done()
    scene = bench.map("descriptor_pca", MANY)
    assert sum("descriptor" in sample for sample in bench.samples()) == MANY
    with page.expect_response(lambda answer: "Select" in str(asked_for(answer).get("extendedStages"))) as answer:
        stage = bench.lasso(scene, (0.02, 0.02), (0.4, 0.02), (0.4, 0.98), (0.02, 0.98))
    chosen = set(dict(stage["kwargs"])["sample_ids"])
    assert {edge["node"]["id"] for edge in answer.value.json()["data"]["samples"]["edges"]} <= chosen
    bench.shows(len(chosen))
    page.locator("[data-cy=looker]").first.click(trial=True)  # nothing is over the grid any more
    picture("embeddings-map")
    places = bench.points("descriptor_pca")
    within = [x for id, (x, _) in places.items() if id in chosen]
    without = [x for id, (x, _) in places.items() if id not in chosen]
    assert len(within) == len(chosen) > 0
    assert max(within) < min(without)


def test_the_grid_is_sorted_by_similarity_to_the_selected_sample(bench: Bench, page: Any) -> None:
    bench.visit("embedded")
    vectors = {sample["_id"]: unpack(sample["descriptor"]) for sample in bench.samples()}
    centre = np.mean(list(vectors.values()), axis=0)  # as FiftyOne does
    chosen = list(vectors)[9]
    crop = page.locator("[data-cy=looker]").nth(9)
    crop.hover()
    crop.locator("label").click()
    page.locator("[data-cy=action-sort-by-similarity]").locator("svg").first.click()
    page.get_by_text("Show similar samples").click()
    page.get_by_text("25 results").wait_for()
    with page.expect_response(lambda answer: "Select" in str(asked_for(answer).get("view"))) as answer:
        # The card around it can be moved, and calls itself disabled.
        page.get_by_role("button", name="Show results", exact=True).click(force=True)
    bench.shows(25)
    shown = [ObjectId(edge["node"]["id"]) for edge in answer.value.json()["data"]["samples"]["edges"]]
    alike = {id: cosine(vector - centre, vectors[chosen] - centre) for id, vector in vectors.items()}
    assert shown[0] == chosen
    assert np.allclose([alike[id] for id in shown], sorted(alike.values(), reverse=True)[: len(shown)], atol=1e-4)


def cosine(one: Any, other: Any) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def asked_for(answer: Any) -> dict[str, Any]:
    """What a page of the grid is asked for with; empty if the answer is to something else."""
    body = answer.request.post_data or ""
    return dict(json.loads(body)["variables"]) if "paginateSamplesQuery" in body else {}


def test_suspicious_labels_are_opened_worst_first_and_each_finding_with_a_button(
    bench: Bench, page: Any, picture: Callable[[str], None]
) -> None:
    bench.visit("doubted")
    search = page.locator("[data-item-id='@tator/sync/find_suspicious']")
    search.click()
    bench.sees("Look at the worst, percent").submit("Find").sees("worth a second look")
    marked = [sample for sample in bench.samples() if sample.get("suspicion")]
    twins = sum(bool(sample.get("duplicate_group")) for sample in bench.samples())
    assert 0 < len(marked) <= 0.05 * MANY
    worst = max(marked, key=lambda sample: float(sample["suspicion"]))
    bench.sees(f"its neighbours are called {worst['suspicion_label']}")
    picture("suspicious")
    bench.done().shows(len(marked))
    search.click()
    bench.sees("Look at the worst, percent").submit("Find")
    page.get_by_role("button", name=f"Show {twins} near-duplicates").click()
    bench.done().shows(twins)


def test_the_form_says_what_a_service_lacks_and_a_worker_embeds_with_the_one_that_is_ready(
    bench: Bench, page: Any, app: Any, worker: Any, fastvss: FastVSSServer, leaks: Callable[..., list[str]]
) -> None:
    bench.visit("scheduled").browse("Compute embeddings (Fast-VSS)").choose("Service", AWAY)
    bench.sees("This service cannot be used now").sees("no answer")
    button = page.get_by_role("button", name="Compute", exact=True)
    bench.wait_for(lambda: not button.is_enabled(), "the form to be closed")
    bench.choose("Service", fastvss.url).sees("does not have the project 'forgotten'")
    bench.choose("Project", "canyon").sees("Ready: Fast-VSS 0.15.0, project canyon").sees("768 numbers")
    bench.choose("Map", "None").submit("Schedule").sees("Operation successfully scheduled")

    def run() -> Any:
        rows = [row for row in app.collections().get("delegated_ops", ()) if "compute_fastvss" in row["operator"]]
        return rows and rows[-1]["run_state"] in ("completed", "failed") and rows[-1]

    result = bench.wait_for(run, worker)["result"]["result"]
    assert (result["embedded"], result["failed"], result["dimensions"]) == (MANY, 0, 768)
    assert result["made"]["similarity"]["samples"] == MANY
    assert sum("fastvss" in sample for sample in bench.samples()) == MANY
    assert leaks(app, page=page.content()) == []


def test_a_map_by_another_method_takes_the_place_in_the_panel(bench: Bench, page: Any) -> None:
    bench.visit("charted", 200).browse("Visualize embeddings").choose("Map", "t-SNE")
    bench.sees("Its key is descriptor_tsne").submit("Visualize").sees("The map descriptor_tsne is ready").done()
    bench.map("descriptor_tsne", 200)
    page.get_by_role("button", name="Back to visualizations").click()
    bench.browse("Visualize embeddings").choose("Map", "PCA").sees("Its key is descriptor_pca").submit("Visualize")
    bench.sees("The map descriptor_pca is ready").done().map("descriptor_pca", 200)
