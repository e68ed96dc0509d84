"""What the node and the cluster say about themselves, turned into OTLP."""
