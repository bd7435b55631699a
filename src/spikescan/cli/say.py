"""``spikescan say``."""

from __future__ import annotations

from pathlib import Path


def say(
    run: str, *, prompt: str = "\n", steps: int = 400, temperature: float = 0.7, seed: int = 0
) -> int:
    """Let a trained language model go on with a text.

    Args:
        run: folder of the run, or one of its checkpoints.
        prompt: the text to go on with.
        steps: tokens to say.
        temperature: 1 draws tokens as likely as the network holds them, less prefers the likely
            ones, 0 always takes the likeliest.
        seed: of the draws.
    """
    from spikescan.errors import UsageError
    from spikescan.tasks.language import Language
    from spikescan.train import load

    task = load(Path(run))
    if not isinstance(task, Language):
        raise UsageError(f"{run} is no language model: it is a {type(task).__name__}")
    try:
        said = task.generate(prompt, steps, temperature=temperature, seed=seed)
    except ValueError as error:
        raise UsageError(str(error)) from error
    print(prompt + said)
    return 0
