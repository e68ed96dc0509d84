"""A pipeline's data on disk until it is delivered: an append-only log of segments and a cursor."""
