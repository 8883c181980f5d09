"""The operators of ``@tator/sync``, one file each."""

from fiftyone_tator.operators.import_from_tator import ImportFromTator
from fiftyone_tator.operators.load_import_options import LoadImportOptions
from fiftyone_tator.operators.show_import_result import ShowImportResult

OPERATORS: tuple[type, ...] = (ImportFromTator, LoadImportOptions, ShowImportResult)
