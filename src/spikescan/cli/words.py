"""Mistakes in one line."""

from __future__ import annotations


def in_words(error: Exception) -> str | None:
    """One line about an error that the user can mend; None if it is ours."""
    from jsonargparse import ArgumentError

    from spikescan.data.root import DataError
    from spikescan.errors import UsageError

    if isinstance(error, ArgumentError | DataError | UsageError):
        return " ".join(str(error).split())
    return None
