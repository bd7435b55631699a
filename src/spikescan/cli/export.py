"""``spikescan export``."""

from __future__ import annotations

import shlex
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from spikescan.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from spikescan.stream import Program


def export(
    run: str,
    *,
    to: Literal["c", "onnx", "nir"] = "c",
    out: str = "exported",
    name: str = "network",
    quantize: Literal["int8"] | None = None,
    evaluation: Literal["sample", "mean"] | None = None,
    steps: int = 100,
    dt: float = 1e-4,
    mean_outside: bool = False,
    check: bool = False,
) -> int:
    """Write a trained network for other machines and libraries.

    With C99 comes a test vector, the start of the first sequence of the run's validation data.

    Args:
        run: Folder of a run, or one of its checkpoint files.
        to: What to write: C99 without any library, an ONNX graph of one step with the state in and
            out, or a graph of the Neuromorphic Intermediate Representation.
        out: Folder of the files.
        name: What the files and all that they declare are called.
        quantize: Round weights to 8-bit integers, fitted to the run's validation data.
        evaluation: What neurons that fire at random do; by default what the run says.
        steps: Most steps of the test vector of C99.
        dt: Seconds of a step in NIR.
        mean_outside: Leave to the reader of NIR the mean of the outputs over the steps.
        check: Write nothing, and list what cannot be expressed; the status is 1 where there is any.
    """
    from spikescan.cli.run import quiet
    from spikescan.cli.stream import quantized, some_sequences
    from spikescan.export import nir_refusals, onnx_refusals
    from spikescan.stream import CannotFold, fold
    from spikescan.train.trained import load_with_data

    quiet()
    if steps < 1:
        raise UsageError(f"--steps must be at least 1, got {steps}")
    if Path(name).name != name:
        raise UsageError(f"--name must be that of a file, without a folder, got {name!r}")
    task, data = load_with_data(run)
    try:
        program = fold(task.model, evaluation=evaluation)
    except CannotFold as error:
        if not check:
            raise UsageError(str(error)) from error
        print(error)
        return 1
    sequences = cache(partial(some_sequences, data))  # only where they are needed
    if quantize:
        program = quantized(program, sequences())
    if check:
        refused = []
        if to == "onnx":
            refused = onnx_refusals(program)
        elif to == "nir":
            refused = nir_refusals(program, mean_outside=mean_outside)
        print("\n".join(refused) if refused else "all of the network can be expressed")
        return 1 if refused else 0
    vector = sequences()[0, :steps] if to == "c" else None
    try:
        if to == "nir":
            return _nir(program, Path(out) / f"{name}.nir", dt, mean_outside)
        if to == "onnx":
            return _onnx(program, Path(out) / f"{name}.onnx")
        return _c(program, out, name, vector)
    except ValueError as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""  # HDF5 names it in its words
        words = f"{where}{error.strerror or error}"
        raise UsageError(f"--out {out} cannot be written to: {words}") from error


def _nir(program: Program, file: Path, dt: float, mean_outside: bool) -> int:
    from spikescan.export import to_nir

    graph = to_nir(program, file, dt=dt, mean_outside=mean_outside)
    print(f"{file}: {len(graph.nodes)} nodes, {len(graph.edges)} edges")
    return 0


def _onnx(program: Program, file: Path) -> int:
    from spikescan.export import to_onnx

    made = to_onnx(program, file)
    print(f"{file}: {len(made.model.graph.node)} nodes, a step of x and {len(made.state)} states:")
    for name, shape in made.state.items():
        print(f"  {name} (streams, {', '.join(map(str, shape))})")
    return 0


def _c(program: Program, out: str, name: str, vector: Tensor | None) -> int:
    from spikescan.export import to_c

    made = to_c(program, out, name=name, vector=vector)
    for path in made.files:
        print(path)
    print(f"constants {made.constants:,} bytes, state of a stream {made.stream:,} bytes")
    source, _, main, _ = made.files
    sources = shlex.join(map(str, (source, main)))
    print(f"next: cc -std=c99 -O2 {sources} -o {name} && ./{name}")
    return 0
