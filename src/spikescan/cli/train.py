"""``spikescan train``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from spikescan.cli.own import data_options, own_kind, recipe_for
from spikescan.cli.run import find_recipe, quiet, take, tell
from spikescan.errors import UsageError


def train(program: str, arguments: Sequence[str]) -> int:
    """Train a recipe (default: digits), own files (--data wav --data.root DIR), or --resume RUN."""
    from spikescan.memory import keep_memory
    from spikescan.train import NewRun, RunFolder, fit, read_recipe

    quiet()
    keep_memory()
    arguments = list(arguments)
    resume = take(arguments, "--resume")
    folder = None
    with TemporaryDirectory() as place:
        if resume is not None:
            if arguments and not arguments[0].startswith("-"):
                raise UsageError(
                    "--resume goes on with the recipe that the run began with; leave out "
                    f"{arguments[0]!r}"
                )
            folder = RunFolder(Path(resume))
            folder.require(folder.config)
            source, name = folder.config, folder.path.name
        elif arguments and not arguments[0].startswith("-"):
            source = find_recipe(arguments.pop(0))
            name = source.stem
        elif kind := own_kind(arguments):
            text = recipe_for(kind, data_options(arguments))
            print(text, flush=True)
            source, name = Path(place) / f"{kind}.yaml", kind
            source.write_text(text, encoding="utf-8")
        else:
            source, name = find_recipe("digits"), "digits"
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
