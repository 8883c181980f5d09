"""``fiftyone-tator install``: links the plugin of this installation into FiftyOne's plugins folder."""

import argparse
import sys
from pathlib import Path

import fiftyone_tator

LINK = "tator-sync"


def link_plugin(folder: Path) -> Path:
    """Links the package, which is a plugin as well, into a plugins folder.

    Args:
        folder: the plugins folder; made if it is not there

    Returns:
        the link

    Raises:
        FileExistsError: if something else lies in its place
    """
    package = Path(fiftyone_tator.__file__).resolve().parent
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / LINK
    if link.is_symlink():
        link.unlink()
    if link.exists():
        raise FileExistsError(f"{link} is no link of ours. Move it away, then run this again.")
    link.symlink_to(package, target_is_directory=True)
    return link


def main(argv: list[str]) -> int:
    """Runs the command.

    Args:
        argv: its arguments

    Returns:
        the exit code
    """
    parser = argparse.ArgumentParser(prog="fiftyone-tator install", description=__doc__.split(": ", 1)[1])
    parser.add_argument("--folder", type=Path, help="the plugins folder (default: the one in FiftyOne's config)")
    options = parser.parse_args(argv)
    try:
        link = link_plugin(options.folder or _plugins_folder())
    except OSError as error:
        sys.stderr.write(f"The plugin could not be linked: {error}\n")
        return 1
    print(f"FiftyOne finds @tator/sync in {link}. Restart the App if it is running.")
    return 0


def _plugins_folder() -> Path:
    import fiftyone as fo

    return Path(fo.config.plugins_dir)
