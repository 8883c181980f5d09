"""One MongoDB, one data folder and one plugins folder for a run of the tests, apart from the user's own."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from fiftyone_tator.cli.mongo import URI, start

REPOSITORY = Path(__file__).resolve().parent.parent
SCRATCH = Path(tempfile.mkdtemp(prefix="fiftyone-tator-tests-"))

# FiftyOne reads its configuration once, when it is imported: it has to be set before any test module is. Its embedded
# MongoDB would be shared with everything else that runs FiftyOne on this machine; the tests have one of their own.
MONGOD, ADDRESS = (None, os.environ[URI]) if URI in os.environ else start(SCRATCH / "mongo")
os.environ.update(
    {
        URI: ADDRESS,
        "FIFTYONE_DATABASE_NAME": f"tator_tests_{os.getpid()}",
        "FIFTYONE_DEFAULT_DATASET_DIR": str(SCRATCH / "datasets"),
        "FIFTYONE_CONFIG_PATH": str(SCRATCH / "config.json"),
        "FIFTYONE_APP_CONFIG_PATH": str(SCRATCH / "app_config.json"),
        "FIFTYONE_PLUGINS_DIR": str(SCRATCH / "plugins"),
        "FIFTYONE_TATOR_DIR": str(SCRATCH / "data"),
        "FIFTYONE_DO_NOT_TRACK": "true",
        "FIFTYONE_ALLOW_LEGACY_ORCHESTRATORS": "true",
        "FIFTYONE_DATABASE_VALIDATION": "false",
        "FIFTYONE_SHOW_PROGRESS_BARS": "false",
    }
)
for secret in ("FIFTYONE_TATOR_URL", "FIFTYONE_TATOR_TOKEN"):
    os.environ.pop(secret, None)

(SCRATCH / "plugins").mkdir()
(SCRATCH / "plugins" / "tator-sync").symlink_to(REPOSITORY)

# A busy machine is no reason to fail.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")


def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores: browser tests, for one, wait half of their time."""
    return (os.cpu_count() or 1) + 1


def tidy_up() -> None:
    if MONGOD is not None:
        # What it holds is thrown away: it need not tidy up.
        MONGOD.kill()
        MONGOD.wait()
    shutil.rmtree(SCRATCH, ignore_errors=True)


# What is registered first is called last: FiftyOne asks its MongoDB in the end, and waits half a minute without it.
atexit.register(tidy_up)


@pytest.fixture(scope="session")
def scratch() -> Path:
    """The folder that this run of the tests may fill."""
    return SCRATCH


@pytest.fixture(scope="session")
def database() -> Iterator[object]:
    """FiftyOne's real MongoDB, as a pymongo database."""
    import fiftyone.core.odm as foo

    yield foo.get_db_conn()
