"""An application without metrics: it waits for SIGTERM."""

from __future__ import annotations

import signal


def main() -> None:
    """Do nothing until SIGTERM."""
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main()
