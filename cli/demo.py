"""``fiftyone-tator demo``: from nothing to real crops of a real-looking project in the App."""

import argparse
import json
import os
import signal
import sys
import urllib.error
import urllib.request
import webbrowser
from pathlib import Path
from types import FrameType
from typing import Any

from fiftyone_tator.cli import mongo
from fiftyone_tator.cli.install import link_plugin
from fiftyone_tator.cli.processes import Failed, Processes, is_free

BASE_PORT, PORTS_PER_PROJECT = 5151, 10
SANDBOX_PORT = 8686
_FIFTYONE = ["-c", "from fiftyone.core.cli import main; main()"]
_EMBEDDED = (
    "The map is there: reload the page and open the Embeddings panel (the + beside Samples). Saved views have the\n"
    "labels that are worth a second look, and the magnifying glass above the grid finds crops like a selected one."
)
DATABASE = os.environ.get("FIFTYONE_DATABASE_DEFAULT", "fiftyone_project")


def app_port(project: int) -> int:
    """The port of a project's App: each project has a block of ten.

    Args:
        project: the project's id
    """
    return BASE_PORT + (project - 1) * PORTS_PER_PROJECT


def data_folder(folder: Path, sandbox_port: int) -> Path:
    """Where a demo keeps its data: what was imported knows the address of its sandbox, so each port has its own.

    Args:
        folder: the folder that was asked for
        sandbox_port: where the sandbox listens

    Returns:
        the folder itself for the usual port, a folder in it for others
    """
    return folder if sandbox_port == SANDBOX_PORT else folder / str(sandbox_port)


def database_name(project: int, sandbox_port: int) -> str:
    """The name of a project's database, which may be in a MongoDB that several demos share.

    Args:
        project: the project's id
        sandbox_port: where the sandbox listens
    """
    return f"{DATABASE}_{project}" + ("" if sandbox_port == SANDBOX_PORT else f"_{sandbox_port}")


def environment(folder: Path) -> dict[str, str]:
    """The variables that keep a demo apart from everything else on the machine.

    Args:
        folder: the demo's folder
    """
    return {
        "FIFTYONE_PLUGINS_DIR": str(folder / "plugins"),
        "FIFTYONE_TATOR_DIR": str(folder / "files"),
        "FIFTYONE_DO_NOT_TRACK": "true",
        "FIFTYONE_DATABASE_VALIDATION": "false",
        "FIFTYONE_ALLOW_LEGACY_ORCHESTRATORS": "true",
    }


def main(argv: list[str]) -> int:
    """Runs the demo until it is interrupted.

    Args:
        argv: the command's arguments

    Returns:
        the exit code
    """
    parser = argparse.ArgumentParser(prog="fiftyone-tator demo", description=__doc__.split(": ", 1)[1])
    parser.add_argument("--exit", action="store_true", help="do everything, then stop and end with 0")
    parser.add_argument("--folder", type=Path, default=Path(".demo"), help="where its data goes (default %(default)s)")
    parser.add_argument("--port", type=int, help="the App's port (default: the project's own)")
    parser.add_argument(
        "--sandbox-port", type=int, default=SANDBOX_PORT, help="default %(default)s; others have data of their own"
    )
    options = parser.parse_args(argv)
    # Set, and not left to Python: who starts it in the background of a script has Ctrl-C ignored from the outset.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        _run(options, data_folder(options.folder.resolve(), options.sandbox_port))
    except Failed as failure:
        sys.stderr.write(f"{failure}\n")
        return 1
    except KeyboardInterrupt:
        print("\nStopped.")
    return 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _run(options: argparse.Namespace, folder: Path) -> None:
    link_plugin(folder / "plugins")
    with Processes(folder / "logs", environment(folder)) as processes:
        if mongo.URI not in os.environ:
            port = mongo.free_port()
            processes.start_program("MongoDB", mongo.command(folder / "mongo", port))
            processes.environment[mongo.URI] = f"mongodb://127.0.0.1:{port}"
            processes.wait_until(lambda: mongo.answers(port), "MongoDB")
        print("Starting the Tator sandbox ...", flush=True)
        facts = _start_sandbox(processes, folder, options.sandbox_port)
        project = facts["projects"][-1]
        processes.environment |= {
            "FIFTYONE_DATABASE_NAME": database_name(project["id"], options.sandbox_port),
            "FIFTYONE_TATOR_URL": facts["url"],
            "FIFTYONE_TATOR_TOKEN": facts["tokens"]["editor"],
        }
        print(f"Importing its project {project['name']!r} and starting the App ...", flush=True)
        address = _start_app(processes, options.port or app_port(project["id"]))
        imported = _import(processes, project["id"])
        processes.wait_until(lambda: _answers(address), "the App")
        _tell(facts, imported, f"{address}/datasets/{imported['dataset']}")
        if not options.exit:
            processes.start("worker", [*_FIFTYONE, "delegated", "launch"])
        processes.start("embeddings", ["-m", "fiftyone_tator.cli.demo_embeddings", imported["dataset"]])
        processes.wait_until(lambda: processes.is_done("embeddings"), "the embeddings", seconds=600)
        print(_EMBEDDED, flush=True)
        if not options.exit:
            signal.pause()


def _start_app(processes: Processes, port: int) -> str:
    if not is_free(port):
        raise Failed(f"Port {port} is taken, so the App cannot listen there. Choose another: ARGS='--port {port + 1}'.")
    processes.start("App", ["-m", "fiftyone.server.main", "--port", str(port), "--address", "127.0.0.1"])
    return f"http://127.0.0.1:{port}"


def _import(processes: Processes, project: int) -> dict[str, Any]:
    log = processes.start("import", ["-m", "fiftyone_tator.cli.demo_import", str(project)])
    processes.wait_until(lambda: processes.is_done("import"), "the import")
    return dict(json.loads(log.read_text().splitlines()[-1]))


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _tell(facts: dict[str, Any], imported: dict[str, Any], address: str) -> None:
    print(
        f"""
  Imported       {imported["summary"]} ({imported["seconds"]:.1f} s)
  Tator sandbox  {facts["url"]}  (users admin, editor, viewer; the password is the name)
  FiftyOne App   {address}

Press Ctrl-C to stop everything. A map of the crops comes in half a minute ...""",
        flush=True,
    )
    if sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        webbrowser.open(address)


def _start_sandbox(processes: Processes, folder: Path, port: int) -> dict[str, Any]:
    if not is_free(port):
        raise Failed(f"Port {port} is taken, so the sandbox cannot listen there: ARGS='--sandbox-port {port + 1}'.")
    arguments = ["-m", "fiftyone_tator.sandbox", "--port", str(port), "--db", str(folder / "sandbox.db"), "--json"]
    log = processes.start("sandbox", arguments)
    processes.wait_until(lambda: log.read_text().endswith("\n"), "the sandbox")
    return dict(json.loads(log.read_text().splitlines()[-1]))
