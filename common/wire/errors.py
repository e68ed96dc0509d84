"""What can be wrong with somebody else's bytes."""

from __future__ import annotations


class Malformed(ValueError):
    """The bytes are not what they claim to be; the message says where and what was expected."""


class TooLarge(ValueError):
    """The bytes, or what they would inflate to, exceed a limit; the message names both."""
