"""Pictures on disk: where they lie, how they are decoded, and the crops that are cut from them."""
