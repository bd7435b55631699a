"""What the command line tells in one line instead of a traceback."""


class UsageError(Exception):
    """Something the user asked for cannot be done; the message says what to do instead."""


class Stopped(Exception):
    """A run ended before its end; the message says why, and how to go on where that helps.

    Args:
        message: one line.
        status: exit status of the process.
    """

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status
