"""The hour that a local clock skips in spring."""

from __future__ import annotations

from datetime import datetime, timedelta

_SPRING = (3, 9, 10)
"""Months in which clocks are put forward, on either half of the Earth."""


def put_forward(before: str, after: str, every: float) -> bool:
    """Whether from one time stamp to the next a local clock was put forward, so that the rows are
    no further apart than others.

    It skips one hour in the early morning of a Sunday in spring; a stamp with its offset from UTC
    needs none of this.

    Args:
        before: a time stamp.
        after: that of the next row.
        every: seconds from row to row.

    >>> put_forward("2024-03-31 01:00", "2024-03-31 03:00", 3600)
    True
    >>> put_forward("2024-03-30 01:00", "2024-03-30 03:00", 3600)
    False
    """
    try:
        old, new = datetime.fromisoformat(before), datetime.fromisoformat(after)
    except ValueError:
        return False
    if old.tzinfo is not None or new.tzinfo is not None:
        return False
    skipped = new - old - timedelta(seconds=every)
    early = new.weekday() == 6 and 1 <= new.hour <= 3 and new.month in _SPRING
    return early and skipped == timedelta(hours=1)
