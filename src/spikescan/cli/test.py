"""``spikescan test``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from spikescan.cli.run import quiet, tell
from spikescan.errors import UsageError


def test(program: str, arguments: Sequence[str]) -> int:
    """Test a run's best checkpoint and write its report again."""
    from spikescan.train import RunFolder, evaluate, read_recipe

    quiet()
    if not arguments or arguments[0].startswith("-"):
        raise UsageError(f"which run? usage: {program} RUN [--option value ...]")
    folder = RunFolder(Path(arguments[0]))
    folder.require(folder.config, folder.best)
    task, data, options, config = read_recipe(folder.config, arguments[1:], f"{program} RUN")
    results = evaluate(
        folder,
        task,
        data,
        config=config,
        trainer=options.trainer.as_dict(),
        progress=options.progress,
    )
    tell(task, results, folder)
    return 0
