"""The core: what Tator becomes in a dataset, what was last agreed on, and how both sides come together."""
