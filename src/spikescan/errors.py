"""What the command line tells in one line instead of a traceback."""

from importlib import import_module
from typing import Any


class UsageError(Exception):
    """Something the user asked for cannot be done; the message says what to do instead."""


class MissingPackage(UsageError, ModuleNotFoundError):
    """A package of an extra is not installed, or does not run; the message says what to install."""


def optional(package: str, extra: str, what: str) -> Any:
    """Import a package that only an extra of ours brings.

    Args:
        package: name that it is imported by.
        extra: name of our extra.
        what: what needs it, in words.

    Raises:
        MissingPackage: it is not there, or cannot be imported.
    """
    try:
        return import_module(package)
    except (ImportError, OSError) as error:  # OSError: a library that it loads is not there
        line = f"{what} needs {package}: pip install 'spikescan[{extra}]'"
        if not isinstance(error, ModuleNotFoundError):
            line += f" (it is there, but: {error})"
        raise MissingPackage(line, name=package) from error


class Stopped(Exception):
    """A run ended before its end; the message says why, and how to go on where that helps.

    Args:
        message: one line.
        status: exit status of the process.
    """

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status
