"""A MongoDB of one's own.

FiftyOne's embedded MongoDB is shared by all its processes on a machine, whatever database folder they name: the first
one decides. What must not meet other people's data therefore starts a ``mongod`` itself and names it in
``FIFTYONE_DATABASE_URI``.
"""

import importlib.util
import shutil
import socket
import subprocess
import time
from pathlib import Path

from fiftyone_tator.cli.processes import Failed

URI = "FIFTYONE_DATABASE_URI"


def find_mongod() -> Path | None:
    """The ``mongod`` that came with FiftyOne, or else one on the PATH; None if there is none."""
    fiftyone = importlib.util.find_spec("fiftyone")
    for folder in (fiftyone.submodule_search_locations or ()) if fiftyone else ():
        mongod = Path(folder) / "db" / "bin" / "mongod"
        if mongod.is_file():
            return mongod
    found = shutil.which("mongod")
    return Path(found) if found else None


def free_port() -> int:
    """A port of this machine on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def command(folder: Path, port: int) -> list[str]:
    """The command that runs a MongoDB.

    Args:
        folder: for its data and log; made if it is not there
        port: to listen on, on this machine only

    Returns:
        the program and its arguments

    Raises:
        Failed: if there is no ``mongod``
    """
    mongod = find_mongod()
    if mongod is None:
        raise Failed(f"There is no mongod. Run make again, or set {URI} to the address of a MongoDB of your own.")
    folder.mkdir(parents=True, exist_ok=True)
    where = ["--dbpath", str(folder), "--logpath", str(folder / "mongod.log"), "--logappend"]
    return [str(mongod), *where, "--bind_ip", "127.0.0.1", "--port", str(port), "--nounixsocket", "--quiet"]


def answers(port: int) -> bool:
    """Whether somebody listens on a port of this machine.

    Args:
        port: the port
    """
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def start(folder: Path) -> tuple["subprocess.Popen[bytes]", str]:
    """Starts a MongoDB and waits until it listens.

    Args:
        folder: for its data and log

    Returns:
        the process, and the address for ``FIFTYONE_DATABASE_URI``

    Raises:
        Failed: if there is no ``mongod``, or it ends by itself
    """
    port = free_port()
    process = subprocess.Popen(command(folder, port), stdout=subprocess.DEVNULL, start_new_session=True)
    while not answers(port):
        if process.poll() is not None:
            raise Failed(f"MongoDB ended by itself (code {process.returncode}). Its log is {folder / 'mongod.log'}.")
        time.sleep(0.05)
    return process, f"mongodb://127.0.0.1:{port}"


def main() -> int:
    """Whether there is a ``mongod``, as an exit code."""
    return 0 if find_mongod() else 1


if __name__ == "__main__":
    raise SystemExit(main())
