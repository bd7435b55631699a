"""``spikescan export``."""

from __future__ import annotations

from typing import Literal

from spikescan.errors import UsageError


def export(
    run: str,
    *,
    to: Literal["c"] = "c",
    out: str = "exported",
    name: str = "network",
    quantize: Literal["int8"] | None = None,
    evaluation: Literal["sample", "mean"] | None = None,
    steps: int = 100,
) -> int:
    """Write a trained network as source that runs on other machines.

    The test vector beside it is the start of the first sequence of the run's validation data.

    Args:
        run: Folder of a run, or one of its checkpoint files.
        to: What to write; c is C99 without any library.
        out: Folder of the files.
        name: What the files and all that they declare are called.
        quantize: Round weights to 8-bit integers, fitted to the run's validation data.
        evaluation: What neurons that fire at random do; by default what the run says.
        steps: Most steps of the test vector.
    """
    from spikescan.cli.run import quiet
    from spikescan.cli.stream import some_sequences
    from spikescan.export import to_c
    from spikescan.stream import CannotFold, fold
    from spikescan.train.trained import load_with_data

    quiet()
    if steps < 1:
        raise UsageError(f"--steps must be at least 1, got {steps}")
    task, data = load_with_data(run)
    try:
        program = fold(task.model, evaluation=evaluation)
    except CannotFold as error:
        raise UsageError(str(error)) from error
    x = some_sequences(data)
    if quantize:
        program = program.quantize(x)
    try:
        made = to_c(program, out, name=name, vector=x[0, :steps])
    except ValueError as error:
        raise UsageError(str(error)) from error
    for path in made.files:
        print(path)
    print(f"constants {made.constants:,} bytes, state of a stream {made.stream:,} bytes")
    source, _, main, _ = made.files
    print(f"next: cc -std=c99 -O2 {source} {main} -o {name} && ./{name}")
    return 0
