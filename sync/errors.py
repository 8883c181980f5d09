"""What can go wrong between a dataset and Tator; the root of the tree is the client's.

TatorError
+- SyncError              anything that stops a synchronisation
   +- InvalidOption       an option, a preset or a config file that cannot be used
   +- NothingToImport     what was chosen holds no localization
   +- NotFromTator        a dataset that this plugin did not make, or made from something else
   +- NotAllowed          the user may not do that in the project
   +- Busy                somebody else is writing to the dataset
"""

from fiftyone_tator.tator_client import TatorError


class SyncError(TatorError):
    """A synchronisation cannot go on."""


class InvalidOption(SyncError):
    """An option, a preset or a config file cannot be used."""


class NothingToImport(SyncError):
    """What was chosen holds no localization."""


class NotFromTator(SyncError):
    """The dataset was not made by this plugin, or from another project or in another way."""


class NotAllowed(SyncError):
    """The user may not do that in the project."""


class Busy(SyncError):
    """Somebody else is writing to the dataset."""
