"""Destinations: batch, retry, send, account."""
