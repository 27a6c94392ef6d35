"""Turn texts into vectors; a sibling of `memory`, whose `Embedder` port they fit by shape."""
