"""``spikescan train``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from spikescan.cli.run import find_recipe, quiet, take, tell


def train(program: str, arguments: Sequence[str]) -> int:
    """Train a recipe (default: digits) and write its report; or --resume RUN."""
    from spikescan.bench.allocator import keep_memory
    from spikescan.train import NewRun, RunFolder, fit, read_recipe

    quiet()
    keep_memory()
    arguments = list(arguments)
    resume = take(arguments, "--resume")
    if resume is not None:
        folder = RunFolder(Path(resume))
        folder.require(folder.config)
        source, name = folder.config, folder.path.name
    else:
        named = arguments and not arguments[0].startswith("-")
        source = find_recipe(arguments.pop(0) if named else "digits")
        folder, name = None, source.stem
    task, data, options, config = read_recipe(source, arguments, f"{program} {name}")
    finished = fit(
        folder or NewRun(Path(options.runs), name, options.name),
        task,
        data,
        config=config,
        trainer=options.trainer.as_dict(),
        seed=options.seed,
        progress=options.progress,
    )
    if finished is not None:
        tell(task, finished.results, finished.folder)
    return 0
