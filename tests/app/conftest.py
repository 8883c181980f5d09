"""The real App, its server in a process of its own, driven in a real Chromium."""

import contextlib
import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs" / "images"
FLAGS = (
    "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync "
    "--enable-unsafe-swiftshader"
).split()
# The App asks for fonts and statistics elsewhere; without a network it would wait for them. To refuse them here takes
# less than to ask the tests at each request.
OFFLINE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
PATIENCE = 120.0
DEMO = "Demo: galaxies, coins and cells"


def until(condition: Callable[[], Any], what: Any, seconds: float = PATIENCE) -> Any:
    """Waits for a condition and returns what made it true.

    Args:
        condition: asked again and again
        what: what is waited for, or a process whose output tells
        seconds: how long
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"Waited {seconds:.0f} s in vain for {getattr(what, 'text', what)}")


@pytest.fixture(scope="session")
def wait_for() -> Callable[..., Any]:
    return until


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass
class Process:
    """A process of ours and what it writes."""

    popen: "subprocess.Popen[bytes]"
    log: Path

    @property
    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            ours = psutil.Process(self.popen.pid)
            # Nothing of theirs is looked at afterwards: they need not tidy up.
            for process in [*ours.children(recursive=True), ours]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        self.popen.wait(15)


@dataclass
class Processes:
    """Starts processes and remembers what they wrote, also after their end."""

    folder: Path
    started: list[Process] = field(default_factory=list)

    def start(self, *command: str, **env: str) -> Process:
        log = self.folder / f"{len(self.started)}.log"
        with log.open("wb") as out:
            popen = subprocess.Popen(
                command, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **env}, cwd=self.folder
            )
        process = Process(popen, log)
        self.started.append(process)
        return process


@pytest.fixture(scope="session")
def processes() -> Iterator[Processes]:
    folder = Path(tempfile.mkdtemp(prefix="fiftyone-tator-app-"))
    found = Processes(folder)
    yield found
    for process in found.started:
        process.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def tator() -> Iterator[Any]:
    """A Tator with the demo project."""
    from fiftyone_tator.sandbox.demo import add_demo
    from fiftyone_tator.sandbox.testing import running

    with running() as sandbox:
        add_demo(sandbox.store, sandbox.seeded)
        yield sandbox


@pytest.fixture(autouse=True)
def no_faults(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "tator" in request.fixturenames:
        request.getfixturevalue("tator").faults.clear()


@dataclass
class App:
    """A FiftyOne App server on a database of its own."""

    url: str
    database: str
    env: dict[str, str]
    process: Process

    def collections(self) -> dict[str, list[dict[str, Any]]]:
        """All that is in its database."""
        import fiftyone.core.odm as foo

        database = foo.get_db_conn().client[self.database]
        return {name: list(database[name].find()) for name in database.list_collection_names()}


class Apps(Mapping[str, App]):
    """App servers by their names; each is started when it is asked for first.

    Args:
        processes: to start them
        secrets: the addresses and the tokens of the Tators that each knows
    """

    def __init__(self, processes: Processes, secrets: dict[str, tuple[str, str]]) -> None:
        self.processes, self.secrets = processes, secrets
        self.found: dict[str, App] = {}

    def __getitem__(self, name: str) -> App:
        if name not in self.found:
            self.found[name] = self.start(f"app_{name}_{os.getpid()}", *self.secrets[name])
        return self.found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.secrets)

    def __len__(self) -> int:
        return len(self.secrets)

    def start(self, database: str, url: str, token: str) -> App:
        port = free_port()
        # A data folder of its own as well: what one App has fetched already would be no work for another.
        env = {
            "FIFTYONE_DATABASE_NAME": database,
            "FIFTYONE_TATOR_URL": url,
            "FIFTYONE_TATOR_TOKEN": token,
            "FIFTYONE_TATOR_DIR": str(self.processes.folder / database),
        }
        command = [sys.executable, "-m", "fiftyone.server.main", "--port", str(port), "--address", "127.0.0.1"]
        process = self.processes.start(*command, **env)
        until(lambda: "Running on" in process.text, process)
        return App(f"http://127.0.0.1:{port}", database, env, process)


@pytest.fixture(scope="session")
def apps(processes: Processes, tator: Any, database: Any) -> Apps:
    """App servers: two with one Tator; with three, of which one refuses the token and one is away; without secrets."""
    good, away = tator.tokens["editor"], f"http://127.0.0.1:{free_port()}"
    # The same server under another name, as far as addresses go.
    refusing = tator.url.replace("127.0.0.1", "localhost")
    return Apps(
        processes,
        {
            "one": (tator.url, good),
            "fresh": (tator.url, good),
            "three": (f"{tator.url},{refusing},{away}", f"{good},{'0' * 40},{'1' * 40}"),
            "none": ("", ""),
        },
    )


@pytest.fixture(scope="session")
def app(apps: Apps) -> App:
    """The App that knows several servers, the first of which works."""
    return apps["three"]


@pytest.fixture(scope="session")
def worker(app: App, processes: Processes) -> Iterator[Process]:
    """``fiftyone delegated launch`` on the App's database."""
    process = processes.start(str(Path(sys.executable).with_name("fiftyone")), "delegated", "launch", **app.env)
    yield process
    process.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    # Of one module: as long as Playwright's event loop runs in this thread, operators that a test calls are tasks.
    from playwright.sync_api import sync_playwright

    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium is missing; tools/browser installs it")
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium, args=[*FLAGS, OFFLINE])
        yield found
        found.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page of a person who has dismissed the App's card about its Enterprise edition."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    context.add_init_script("localStorage.setItem('fiftyone-enterprise-tooltip-seen', 'true')")
    context.set_default_timeout(PATIENCE * 1000)
    yield context.new_page()
    context.close()


class ImportForm:
    """The import's form, as a person uses it."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def open(self, app: App, path: str = "/") -> "ImportForm":
        self.page.goto(app.url + path)
        self.page.locator("[data-cy=selector-dataset]").wait_for()
        return self.again()

    def again(self) -> "ImportForm":
        search = self.page.get_by_placeholder("Search operations by name...")

        def opened() -> bool:
            self.page.keyboard.press("`")
            with contextlib.suppress(Exception):
                search.wait_for(timeout=1000)
            return bool(search.is_visible())

        until(opened, "the operator browser")
        search.fill("import from tator")
        self.page.get_by_text("Import from Tator", exact=True).first.click()
        return self

    def field(self, label: str) -> Any:
        """The input under a label; the App does not link the two, so this goes by the form's cells."""
        return self.cell(label).locator("input:not([aria-hidden]), div[role=combobox]").last

    def cell(self, label: str) -> Any:
        return self.page.locator(".MuiGrid-item").filter(has=self.page.get_by_text(label, exact=True))

    def empty(self, label: str) -> None:
        """Takes out what is chosen already."""
        chips = self.cell(label).locator(".MuiChip-root")

        def gone() -> bool:
            # The App may draw the field anew just now, and not hear a key.
            if chips.count():
                self.field(label).press("Backspace")
            return not chips.count()

        until(gone, "the choices to go")

    def pick(self, label: str, *options: str) -> "ImportForm":
        for option in options:
            self.field(label).click()
            self.page.get_by_role("option").filter(has_text=option).first.click()
        return self

    def project(self, name: str = DEMO) -> "ImportForm":
        """Chooses a project, and undoes what the form brought from a dataset that was open."""
        self.pick("Project", name)
        self.field("Dataset").wait_for()
        self.empty("Versions")
        self.empty("Localization types")
        return self

    def sees(self, text: str) -> "ImportForm":
        self.page.get_by_text(text).first.wait_for()
        return self

    def submit(self, how: str = "Import") -> None:
        buttons = self.page.get_by_role("group", name="split button").get_by_role("button")
        buttons.nth(1).click()
        self.page.get_by_role("menuitem").filter(has_text=how).first.click()
        button = self.page.get_by_role("button", name=how, exact=True)
        until(button.is_enabled, "the form to be resolved")
        button.click()


@pytest.fixture
def form(page: Any) -> ImportForm:
    return ImportForm(page)


class AnnotateTab:
    """The Annotate tab of one sample, as a person uses it; the App saves each change by itself."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.modal = page.locator("[data-cy=modal]")
        self.back = page.locator("[data-cy=annotate-edit-back]")

    def open(self, app: App, dataset: str, sample: object) -> "AnnotateTab":
        self.page.goto(f"{app.url}/datasets/{dataset}?id={sample}")
        self.modal.get_by_text("Annotate", exact=True).click()
        self.modal.get_by_text("PRIMITIVES").wait_for()
        return self

    def row(self, name: str) -> Any:
        """A row of the list: of a field by its name, of the label by the label itself."""
        return self.modal.get_by_text(name, exact=True).last

    @contextlib.contextmanager
    def editing(self, name: str) -> Iterator[Any]:
        """The form behind a row; the list again afterwards."""
        self.row(name).click()
        self.back.wait_for()
        form = self.modal.locator("form.rjsf, button[aria-label='Open date picker']").last
        form.wait_for()
        yield form
        self.back.click()
        self.back.wait_for(state="hidden")

    def saved(self) -> Any:
        """Waits for the answer to a save while the block is running."""
        return self.page.expect_response(lambda answer: answer.request.method == "PATCH" and answer.ok)

    def relabel(self, old: str, new: str, seen: Callable[[], None] = lambda: None) -> None:
        """Chooses another label.

        Args:
            old: the label as it is
            new: one of those to choose from
            seen: called when the labels to choose from are to be seen
        """
        with self.editing(old):
            box = self.modal.locator("[data-cy=root_label_container]").get_by_role("combobox")
            until(lambda: box.input_value() == old, "the label as it is")
            box.click()
            option = self.page.get_by_role("option", name=new, exact=True)
            option.wait_for()
            seen()
            with self.saved():
                option.click()

    def switch(self, name: str, to: bool) -> None:
        with self.editing(name) as form, self.saved():
            form.get_by_role("tab", name=str(to)).click()

    def fill(self, name: str, text: str) -> None:
        with self.editing(name) as form, self.saved():
            form.get_by_role("textbox").or_(form.get_by_role("spinbutton")).fill(text)

    def choose(self, name: str, option: str) -> None:
        with self.editing(name) as form, self.saved():
            form.get_by_text(option, exact=True).click()


@pytest.fixture
def tab(page: Any) -> AnnotateTab:
    return AnnotateTab(page)


class PushForm:
    """The push's form, as a person uses it."""

    def __init__(self, page: Any, wait_for: Callable[..., Any]) -> None:
        self.page, self.wait_for = page, wait_for

    def visit(self, app: App, dataset: str, samples: int) -> "PushForm":
        self.page.goto(f"{app.url}/datasets/{dataset}")
        self.page.get_by_text(f"{samples:,} samples").wait_for()
        return self

    def open(self) -> "PushForm":
        self.page.locator("[data-item-id='@tator/sync/push_to_tator']").click()
        return self

    def sees(self, text: Any) -> "PushForm":
        self.page.get_by_text(text).first.wait_for()
        return self

    def flips(self, *labels: str) -> "PushForm":
        for label in labels:
            self.page.get_by_text(label, exact=True).click()
        return self

    def tables(self) -> list[list[str]]:
        """The rows of all tables, without their heads."""
        rows = self.page.locator("tbody tr").all()
        return [[cell.inner_text() for cell in row.locator("td").all()] for row in rows]

    def submit(self, how: str = "Push") -> "PushForm":
        self.page.get_by_role("group", name="split button").get_by_role("button").nth(1).click()
        self.page.get_by_role("menuitem").filter(has_text=how).first.click()
        button = self.page.get_by_role("button", name=how, exact=True)
        self.wait_for(button.is_enabled, "the form to be resolved")
        button.click()
        return self


@pytest.fixture
def push(page: Any, wait_for: Callable[..., Any]) -> PushForm:
    return PushForm(page, wait_for)


@pytest.fixture
def picture(page: Any) -> Callable[[str], None]:
    """Takes a picture for the README when FIFTYONE_TATOR_SCREENSHOTS is set."""
    from PIL import Image

    def take(name: str) -> None:
        if not os.environ.get("FIFTYONE_TATOR_SCREENSHOTS"):
            return
        PICTURES.mkdir(parents=True, exist_ok=True)
        image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        image.save(PICTURES / f"{name}.png", optimize=True)

    return take


@pytest.fixture
def leaks(tator: Any, processes: Processes) -> Callable[..., list[str]]:
    """Names the places where a token is to be read: all processes' output, databases, and what is handed in."""

    def find(*apps: App, **texts: str) -> list[str]:
        places = {str(process.popen.args): process.text for process in processes.started}
        places |= {f"{app.database}.{name}": repr(rows) for app in apps for name, rows in app.collections().items()}
        tokens = [*tator.tokens.values(), "0" * 40, "1" * 40]
        return [place for place, text in {**places, **texts}.items() if any(token in text for token in tokens)]

    return find
