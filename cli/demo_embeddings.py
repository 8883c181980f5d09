"""What the demo makes of its crops without any server: a map, an index, and labels worth a second look."""

import importlib.util
import json
import sys

from fiftyone_tator.cli.demo_import import reason_of

COMPUTE, SUSPECT = "@tator/sync/compute_fastvss_embeddings", "@tator/sync/find_suspicious"


def main(name: str) -> int:
    """Embeds the demo's crops with the operators, as any Python caller would; what is there already stays.

    Args:
        name: the dataset's name

    Returns:
        the exit code
    """
    import fiftyone as fo
    import fiftyone.operators as foo
    from fiftyone.operators.executor import ExecutionError

    method = "umap" if importlib.util.find_spec("umap") else "pca"
    dataset = fo.load_dataset(name)
    missing = {} if dataset.has_brain_run(f"descriptor_{method}") else {"map": method, "similarity": True}
    try:
        foo.execute_operator(COMPUTE, ctx={"dataset": dataset, "params": {"service": "descriptor", **missing}})
        if missing:
            foo.execute_operator(SUSPECT, ctx={"dataset": dataset, "params": {"field": "descriptor"}})
    except ExecutionError as error:
        print(f"Failed: {reason_of(error)}")
        return 1
    print(json.dumps({"map": method}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
