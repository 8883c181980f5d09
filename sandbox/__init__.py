"""A small Tator-compatible server for trying out and for tests.

It keeps everything in one SQLite file and imports nothing else of this project. :mod:`~fiftyone_tator.sandbox.server`
runs it from a shell, :mod:`~fiftyone_tator.sandbox.testing` inside a test.
"""
