"""``spikescan test``."""

from __future__ import annotations

from collections.abc import Sequence

from spikescan.cli.run import evaluated, tell
from spikescan.errors import UsageError


def test(program: str, arguments: Sequence[str]) -> int:
    """Test a run's best checkpoint and write its report again."""
    if not arguments or arguments[0].startswith("-"):
        raise UsageError(f"which run? usage: {program} RUN [--option value ...]")
    tell(*evaluated(arguments[0], arguments[1:], f"{program} RUN"))
    return 0
