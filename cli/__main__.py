"""``python -m fiftyone_tator.cli``."""

import sys

from fiftyone_tator.cli import main

sys.exit(main())
