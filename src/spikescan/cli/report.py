"""``spikescan report``."""

from __future__ import annotations

from pathlib import Path

from spikescan.cli.run import quiet


def report(run: str) -> int:
    """Write the page of a run again.

    Its best checkpoint is tested again for it, as `spikescan test` does.

    Args:
        run: Folder of a run.
    """
    from spikescan.train import RunFolder, evaluate, read_recipe

    quiet()
    folder = RunFolder(Path(run))
    folder.require(folder.config, folder.best)
    task, data, options, config = read_recipe(folder.config, program="spikescan report RUN")
    evaluate(
        folder,
        task,
        data,
        config=config,
        trainer=options.trainer.as_dict(),
        progress=options.progress,
    )
    print(folder.report)
    return 0
