"""The applications of the demo: real processes that push or expose metrics."""
