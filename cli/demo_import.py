"""The demo's import, in a process of its own: a process has one FiftyOne database."""

import json
import sys

from fiftyone_tator.sync.results import summary

NAME = "@tator/sync/import_from_tator"


def main(project: int) -> int:
    """Imports a project with the operator, as any Python caller would.

    Args:
        project: the project's id

    Returns:
        the exit code
    """
    import fiftyone.operators as foo
    from fiftyone.operators.executor import ExecutionError

    try:
        result = foo.execute_operator(NAME, ctx={"params": {"project": project, "padding": 0.2}}).result
    except ExecutionError as error:
        print(f"Failed: {reason_of(error)}")
        return 1
    print(json.dumps({"dataset": result["dataset"], "summary": summary(result), "seconds": result["seconds"]}))
    return 0


def reason_of(error: Exception) -> str:
    """The reason in FiftyOne's text of a whole trace: its last line, after the name of its class.

    Args:
        error: an :class:`fiftyone.operators.executor.ExecutionError`
    """
    return str(error).strip().splitlines()[-1].partition(": ")[2]


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
