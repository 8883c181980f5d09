"""The command ``fiftyone-tator``: ``demo``, ``sandbox`` and ``install``."""

import sys
from collections.abc import Callable, Sequence

USAGE = """usage: fiftyone-tator COMMAND [OPTIONS]

commands:
  demo      a Tator sandbox, an import of its demo project, and the FiftyOne App on it
  sandbox   a Tator-compatible server to try things out with
  install   make FiftyOne find the plugin of this installation

fiftyone-tator COMMAND --help tells a command's options.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        argv (None): the arguments; those of the process if None

    Returns:
        the exit code
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    name = arguments.pop(0) if arguments else ""
    if name in ("--help", "-h"):
        sys.stdout.write(USAGE)
        return 0
    command = _command(name)
    if command is None:
        sys.stderr.write(USAGE if not name else f"There is no command {name!r}.\n\n{USAGE}")
        return 2
    return command(arguments)


def _command(name: str) -> Callable[[list[str]], int] | None:
    """The function of a command; what it needs is imported only then, since FiftyOne takes seconds to import."""
    if name == "demo":
        from fiftyone_tator.cli.demo import main as demo

        return demo
    if name == "sandbox":
        from fiftyone_tator.sandbox.server import main as sandbox

        return sandbox
    if name == "install":
        from fiftyone_tator.cli.install import main as install

        return install
    return None
