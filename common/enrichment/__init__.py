"""Whose metrics are these: pods, association, attributes."""
