"""What can go wrong with embeddings; the root of the tree is the Tator client's.

TatorError
+- EmbeddingError          anything that stops embedding, or work with embeddings
   +- ServiceAway          the service cannot be reached, or what answers is no Fast-VSS
   +- ServiceRefused       the service answers, and says no
   |  +- UnknownProject    it does not have the project
   |  +- TooLarge          the batch or the picture is too large for it
   |  +- JobGone           it does not know the job (any more)
   +- WorkerFailed         its worker raised an exception, or the job failed
   +- WorkerDead           jobs stay pending for ever
   +- BadVectors           an answer that is no vectors: text, too few, not finite, of several lengths
   +- OtherModel           the vectors are of another model than those that are there
   +- NoPicture            a sample's picture is gone or cannot be read
   +- NothingToEmbed       a dataset or a view without pictures
   +- NoEmbeddings         a field without vectors, or with too few
   +- NoLabels             too few labels to tell anything from
   +- NotInstalled         what is asked for needs a package that is not installed
"""

from fiftyone_tator.tator_client import TatorError


class EmbeddingError(TatorError):
    """Embedding, or work with embeddings, cannot go on."""


class ServiceAway(EmbeddingError):
    """The service cannot be reached, or what answers is no Fast-VSS."""


class ServiceRefused(EmbeddingError):
    """The service answers, and says no."""


class UnknownProject(ServiceRefused):
    """The service does not have the project."""


class TooLarge(ServiceRefused):
    """The batch, or one picture, is too large for the service or for a proxy before it."""


class JobGone(ServiceRefused):
    """The service does not know the job, or does not know it any more."""


class WorkerFailed(EmbeddingError):
    """The service's worker raised an exception, or the job failed."""


class WorkerDead(EmbeddingError):
    """The service takes pictures, but no worker does anything with them."""


class BadVectors(EmbeddingError):
    """An answer that should be vectors is none: text, too few, not finite, or of several lengths."""


class OtherModel(EmbeddingError):
    """The vectors are of another model than those that are there, and would be mixed with them."""


class NoPicture(EmbeddingError):
    """A picture is gone or cannot be read."""


class NothingToEmbed(EmbeddingError):
    """The dataset or the view holds no pictures."""


class NoEmbeddings(EmbeddingError):
    """The field holds no vectors, or too few for what is asked."""


class NoLabels(EmbeddingError):
    """Too few labels are in use to tell anything from."""


class NotInstalled(EmbeddingError):
    """What is asked for needs a package that is not installed."""
