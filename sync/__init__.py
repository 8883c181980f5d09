"""The core: what Tator's types become in a dataset, what was last agreed on, and how the two sides are brought together."""
