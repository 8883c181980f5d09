"""The command that runs the sandbox."""

import argparse
import asyncio
import importlib
import importlib.util
import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fiftyone_tator.sandbox import app
from fiftyone_tator.sandbox.seed import Seeded, seed
from fiftyone_tator.sandbox.serving import Service
from fiftyone_tator.sandbox.store import Store

_EXTRA = {"av", "scipy", "skimage"}
"""Modules of the packages that only the extra ``sandbox`` installs."""


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    found = argparse.ArgumentParser(
        prog="fiftyone-tator sandbox", description="A Tator-compatible server with a demo project."
    )
    found.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    found.add_argument("--port", type=int, default=8080, help="port, 0 for a free one (default %(default)s)")
    found.add_argument("--db", type=Path, help="SQLite file to keep the data in (default: a temporary one)")
    found.add_argument("--media-dir", type=Path, help="folder of the media files (default: beside the SQLite file)")
    found.add_argument("--no-demo", action="store_true", help='only the "Contract" project')
    found.add_argument("--scale", type=int, metavar="N", help="also a project of N boxes")
    found.add_argument("--seconds", type=int, help="longest life of a media link in seconds")
    found.add_argument(
        "--requests-per-second", type=int, default=100, help="what a user may ask, 0 for no limit (default %(default)s)"
    )
    found.add_argument("--json", action="store_true", help="print one line of JSON for machines")
    return found


def _fill(store: Store, options: argparse.Namespace) -> Seeded:
    """Seeds a store, with the demo and the large project unless it has them."""
    seeded = seed(store)
    wanted = {"demo": not options.no_demo, "scale": bool(options.scale)}
    for name, arguments in (("demo", ()), ("scale", (options.scale,))):
        if not wanted[name] or store.row("select 1 from meta where key = ?", (f"has {name}",)):
            continue
        module = importlib.import_module(f"fiftyone_tator.sandbox.{name}")
        getattr(module, f"add_{name}")(store, seeded, *arguments)
        with store.write() as db:
            db.execute("insert into meta values (?, '')", (f"has {name}",))
    return seeded


def _missing(module: str) -> str:
    """What to do about a package that is not installed."""
    return (
        f"The demo pictures need the package {module!r}, which is not installed. Install the sandbox's packages with "
        "pip install 'fiftyone-tator[sandbox]' or, in a clone, pip install -e '.[sandbox]'; or leave the demo out "
        "with --no-demo.\n"
    )


def _facts(store: Store, seeded: Seeded, url: str) -> dict[str, Any]:
    projects = []
    for row in store.rows("select id, name from project order by id"):
        ids = {"id": row["id"], "name": row["name"]}
        for table in ("version", "media_type", "localization_type", "state_type"):
            found = store.rows(f"select name, id from {table} where project = ? order by id", (row["id"],))
            ids[f"{table}s"] = dict(map(tuple, found))
        projects.append(ids)
    return {"url": url, "tokens": seeded.tokens, "seeded": asdict(seeded), "projects": projects}


def _announce(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        lines = [json.dumps(facts)]
    else:
        lines = [
            f"Tator sandbox on {facts['url']} (Ctrl+C ends it)",
            "",
            "Users (the password is the name) and tokens:",
        ]
        lines += [f"  {name:<9} {token}" for name, token in facts["tokens"].items()]
        for project in facts["projects"]:
            lines += ["", f"Project {project['id']}: {project['name']}"]
            for kind in ("versions", "media_types", "localization_types", "state_types"):
                ids = ", ".join(f"{name} {id_}" for name, id_ in project[kind].items())
                lines.append(f"  {kind.replace('_', ' '):<19} {ids}")
        lines += ["", f"  image of project {facts['seeded']['project']}: media {facts['seeded']['media']}"]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


async def _serve(service: Service, facts: dict[str, Any], as_json: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await service.run(stop, lambda: _announce(facts, as_json))


def main(argv: list[str] | None = None) -> int:
    """Runs the sandbox until it is interrupted.

    Args:
        argv (None): the arguments; by default those of the process

    Returns:
        the exit code
    """
    options = parser().parse_args(argv)
    if options.db:
        options.db.parent.mkdir(parents=True, exist_ok=True)
    store = Store(options.db, options.media_dir)
    try:
        try:
            seeded = _fill(store, options)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in _EXTRA:
                raise
            sys.stderr.write(_missing(str(error.name)))
            return 1
        sandbox = app.create(store, requests_per_second=options.requests_per_second, link_seconds=options.seconds)
        try:
            service = Service(sandbox, options.host, options.port)
        except OSError as error:
            sys.stderr.write(f"Cannot listen on {options.host}:{options.port}: {error.strerror}. Try another --port.\n")
            return 1
        asyncio.run(_serve(service, _facts(store, seeded, service.url), options.json))
    finally:
        store.close()
    return 0
