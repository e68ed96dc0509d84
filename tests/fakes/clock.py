"""A clock that stands until a test moves it."""


class Clock:
    """Seconds in `now`; call it to read it."""

    now = 0.0

    def __call__(self) -> float:
        return self.now
