"""Several processes that are one gateway: a supervisor, and workers that share the ports."""
