"""``@tator/sync/show_import_result``: opens the dataset of an import that the App waited for, and says what came."""

from typing import Any

import fiftyone.operators as foo

from fiftyone_tator.operators.import_result import result_page

URI = "@tator/sync/show_import_result"


class ShowImportResult(foo.Operator):  # type: ignore[misc]
    """Opens the dataset and shows the result page; the import calls it as its last word.

    Opening a dataset makes the App build its page anew, and what an operator's form then shows is lost. So the import
    is over, its form closed, when this opens the dataset, and the page comes up over it.
    """

    @property
    def config(self) -> foo.OperatorConfig:
        """The operator's configuration."""
        return foo.OperatorConfig(
            name="show_import_result",
            label="Show what a Tator import brought",
            unlisted=True,
            disable_schema_validation=True,
        )

    def execute(self, ctx: Any) -> None:
        """Opens the dataset and shows what came.

        Args:
            ctx: the execution context; its param ``results`` is what
                :meth:`fiftyone_tator.sync.results.ImportResult.as_json` gave
        """
        results = ctx.params["results"]
        ctx.trigger("open_dataset", {"dataset": results["dataset"]})
        ctx.trigger("show_output", {"outputs": result_page(results).to_json(), "results": {}})
