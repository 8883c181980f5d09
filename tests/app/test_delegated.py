"""The import left to a worker."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

PROGRAM = """
import json, sys
import fiftyone as fo
import fiftyone.operators as foo

import_from_tator = foo.get_operator("@tator/sync/import_from_tator")
now = import_from_tator(sys.argv[1], types=["Centre"], max_samples=4, dataset_name="by_python")
later = import_from_tator(sys.argv[1], types=("Outline",), max_samples=6, dataset_name="by_worker", delegate=True)
print(json.dumps({"now": now.result, "delegated": later.delegated, "count": len(fo.load_dataset("by_python"))}))
"""


def runs(app: Any) -> dict[str, dict[str, Any]]:
    """The runs by the name of the dataset that they import to."""
    rows = [row for row in app.collections().get("delegated_ops", ()) if row["operator"].endswith("import_from_tator")]
    return {row["context"]["request_params"]["params"]["dataset_name"]: row for row in rows}


def test_a_scheduled_import_is_done_by_a_worker_that_stores_its_progress(
    form: Any,
    page: Any,
    app: Any,
    tator: Any,
    worker: Any,
    wait_for: Callable[..., Any],
    leaks: Callable[..., list[str]],
) -> None:
    form.open(app).project()
    form.field("Dataset").fill("scheduled")
    form.sees("2,246 boxes").sees("It will be made")
    tator.faults.arm("GET /objects", "slow", seconds=1.5, after=8, times=6)
    form.submit("Schedule")
    form.sees("Operation successfully scheduled")

    def progress() -> Any:
        return (runs(app)["scheduled"]["status"] or {}).get("label", "").startswith("Cutting crops: ")

    wait_for(progress, worker)
    run = wait_for(lambda: runs(app)["scheduled"]["result"] and runs(app)["scheduled"], worker)
    assert run["run_state"] == "completed"
    assert (run["result"]["result"]["created"], run["result"]["result"]["dataset"]) == (2246, "scheduled")
    assert leaks(app, page=page.content()) == []


def test_python_imports_at_once_and_leaves_work_to_a_worker(
    app: Any, worker: Any, tator: Any, wait_for: Callable[..., Any], leaks: Callable[..., list[str]]
) -> None:
    command = [sys.executable, "-c", PROGRAM, "Demo: galaxies, coins and cells"]
    done = subprocess.run(command, env={**os.environ, **app.env}, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout.splitlines()[-1])
    assert (said["now"]["created"], said["count"], said["delegated"]) == (4, 4, True)
    run = wait_for(lambda: runs(app)["by_worker"]["result"] and runs(app)["by_worker"], worker)
    assert run["result"]["result"]["created"] == 6
    assert leaks(app, out=done.stdout, err=done.stderr) == []


def test_a_worker_that_cannot_import_stores_the_reason(app: Any, worker: Any, wait_for: Callable[..., Any]) -> None:
    program = (
        "import fiftyone.operators as foo\n"
        "foo.get_operator('@tator/sync/import_from_tator')('No such project', dataset_name='wrong', delegate=True)"
    )
    subprocess.run([sys.executable, "-c", program], env={**os.environ, **app.env}, check=True, capture_output=True)
    run = wait_for(lambda: runs(app)["wrong"]["run_state"] == "failed" and runs(app)["wrong"], worker)
    assert "shows no project 'No such project' to you" in run["result"]["error"]


CALLER = """
import sys
import fiftyone.operators as foo

try:
    foo.get_operator("@tator/sync/import_from_tator")(sys.argv[1], types=["Centre"], dataset_name="by_nobody")
except Exception as error:
    print(type(error).__name__, error, error.__cause__, error.__context__, sep="|")
"""


def call(app: Any, project: str, **env: str) -> str:
    """What a Python caller is told."""
    command = [sys.executable, "-c", CALLER, project]
    done = subprocess.run(command, env={**os.environ, **app.env, **env}, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


def test_a_python_caller_is_told_the_reason_and_no_stack_trace(app: Any) -> None:
    said = call(app, "No such project")
    assert said.startswith("OperatorFailed|") and said.endswith("|None|None")
    assert "shows no project 'No such project' to you" in said


def test_a_python_caller_is_told_which_folder_cannot_be_used(app: Any, scratch: Any) -> None:
    (scratch / "a_file").write_text("")
    said = call(app, "Demo: galaxies, coins and cells", FIFTYONE_TATOR_DIR=str(scratch / "a_file" / "data"))
    assert said.startswith("OperatorFailed|") and said.endswith("|None|None")
    assert str(scratch / "a_file") in said and "FIFTYONE_TATOR_DIR" in said
