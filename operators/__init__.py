"""The operators of ``@tator/sync``, one file each."""

from fiftyone_tator.operators.compute_fastvss_embeddings import ComputeFastVSSEmbeddings
from fiftyone_tator.operators.compute_similarity import ComputeSimilarity
from fiftyone_tator.operators.find_suspicious import FindSuspicious
from fiftyone_tator.operators.import_from_tator import ImportFromTator
from fiftyone_tator.operators.load_embedding_options import LoadEmbeddingOptions
from fiftyone_tator.operators.load_import_options import LoadImportOptions
from fiftyone_tator.operators.load_push_preview import LoadPushPreview
from fiftyone_tator.operators.open_in_tator import OpenInTator, OpenSampleInTator
from fiftyone_tator.operators.push_to_tator import PushToTator
from fiftyone_tator.operators.relabel_selected import RelabelSample, RelabelSelected
from fiftyone_tator.operators.revert_to_tator import RevertSample, RevertToTator
from fiftyone_tator.operators.show_changes import ShowChanges
from fiftyone_tator.operators.show_conflicts import ShowConflicts
from fiftyone_tator.operators.show_import_result import ShowImportResult
from fiftyone_tator.operators.suggest_labels import SuggestLabels
from fiftyone_tator.operators.verify_selected import VerifySample, VerifySelected
from fiftyone_tator.operators.visualize_embeddings import VisualizeEmbeddings

OPERATORS: tuple[type, ...] = (
    ImportFromTator,
    LoadImportOptions,
    ShowImportResult,
    PushToTator,
    LoadPushPreview,
    RelabelSelected,
    RelabelSample,
    VerifySelected,
    VerifySample,
    RevertToTator,
    RevertSample,
    ShowChanges,
    ShowConflicts,
    OpenInTator,
    OpenSampleInTator,
    ComputeFastVSSEmbeddings,
    LoadEmbeddingOptions,
    VisualizeEmbeddings,
    ComputeSimilarity,
    SuggestLabels,
    FindSuspicious,
)
