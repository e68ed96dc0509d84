"""Bytes in, bytes out: no clock, no socket, nothing of ours imported."""
