"""Runs the sandbox: ``python -m fiftyone_tator.sandbox``."""

import sys

from fiftyone_tator.sandbox.server import main

sys.exit(main())
