"""A program as C99: the source of the compiled steps, with the program's arrays beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

import torch
from torch import Tensor

from spikescan.ops._core import validate
from spikescan.stream.encode import FIELDS, OPERATIONS, Encoded, encode
from spikescan.stream.program import Program, checked


@dataclass(frozen=True)
class Written:
    """What :func:`to_c` wrote."""

    files: tuple[Path, ...]
    constants: int
    """Bytes of the program's arrays, to which the code is added."""
    stream: int
    """Bytes of the state of one stream."""


STEP = "step.inc.h"
"""The source of a step, which includes what it needs."""
_INCLUDE = re.compile(r'^#include "([\w.]+)"\n', re.M)
_NAMES = {"Synapse8": "SYNAPSE_8", "LowRank": "LOW_RANK"}


def to_c(
    program: Program,
    folder: str | Path,
    *,
    name: str = "network",
    vector: Tensor | None = None,
    keys: Tensor | None = None,
) -> Written:
    """Write a program as C99 that needs no library, no memory but a struct of its own, and no float
    operation that is rounded otherwise than :meth:`Program.run` rounds it.

    ``NAME.c`` and ``NAME.h`` are the network, ``main.c`` runs it on a file of numbers or, without
    one, on the test vector of ``test_vector.h``, whose outputs it compares bit for bit.

    Args:
        program: what :func:`spikescan.fold` made, in float32 or quantised.
        folder: where the files go; it is made where it does not exist.
        name: of the files and of all that they declare, a C identifier.
        vector: the test vector, real input (T, inputs) or tokens (T,); None draws 64 steps from a
            generator of its own.
        keys: of the random numbers (random_keys,) int64, which ``NAME_init`` sets; None draws them
            from torch's generator.

    Returns:
        The files, and what the network takes.

    Raises:
        ValueError: the name, the vector or the keys do not fit, or a number is not finite.

    >>> from spikescan.models import SDTCM, Classifier
    >>> from spikescan.stream import fold
    >>> folder = getfixture("tmp_path")
    >>> program = fold(Classifier(SDTCM, features=8).eval())
    >>> [path.name for path in to_c(program, folder, name="tiny").files]
    ['tiny.c', 'tiny.h', 'main.c', 'test_vector.h']
    """
    if not re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII):
        raise ValueError(f"name must be a C identifier that begins with a letter, got {name!r}")
    if name.lower() in ("main", "test_vector"):
        raise ValueError(f"name must be another than that of a file beside it, got {name!r}")
    checked(program)
    if vector is None:
        x = _drawn(program)
    else:
        validate.tensor("vector", vector)
        x = vector.detach()
        if not len(x):
            raise ValueError("vector must hold at least one step, got none")
    state = program.rest(1, None if keys is None else keys.unsqueeze(0))
    expected = program.run(x.unsqueeze(0), state)[0].squeeze(0)
    if not bool(expected.isfinite().all()):
        raise ValueError("vector must give finite outputs, got some that are not")
    code = encode(program, rows=1, bytes=1)
    if not bool(code.numbers.isfinite().all()):
        raise ValueError("program must hold finite numbers, got some that are not")
    tokens = program.vocabulary is not None
    words: dict[str, int | str] = {
        "name": name,
        "NAME": name.upper(),
        "inputs": program.inputs,
        "outputs": program.outputs,
        "input_type": "int64_t" if tokens else "float",
        "readable": f"a token 0 .. {(program.vocabulary or 0) - 1}" if tokens else "finite",
        "state": code.state,
        "values": code.values,
        "fired": code.fired,
        "counts": max(1, len(code.counted)),
        "counted": _comment(code.counted),
        "keys": max(1, program.random_keys),
        "steps": len(x),
        "due": f"{program.inputs} number{'s' if program.inputs != 1 else ''}",
        "scan": "%lld" if tokens else "%f",
        "scan_type": "long long" if tokens else "float",
    }
    arrays = words | {
        "source": _inlined(STEP, set()),
        "has": " || ".join(f"(op) == {_operation(i)}" for i in _operations(code)),
        "records": _rows(code.records.tolist()),
        "numbers": _floats(code.numbers),
        "bytes": _integers(code.bytes),
        "key_values": ", ".join(f"UINT64_C({k % 2**64})" for k in state.keys[0].tolist()) or "0",
        "count": len(code.records),
        "input": code.input,
        "output": code.output,
        "vocabulary": program.vocabulary or 0,
    }
    vectors = words | {"x": _integers(x) if tokens else _floats(x), "y": _floats(expected)}
    made = {
        f"{name}.c": _filled("network.c", arrays),
        f"{name}.h": _filled("network.h", words),
        "main.c": _filled("main.c", words),
        "test_vector.h": _filled("test_vector.h", vectors),
    }
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in made.items():
        (folder / file).write_text(text, encoding="utf-8")
    numbers = (code.records, code.numbers, code.bytes)
    return Written(
        files=tuple(folder / file for file in made),
        constants=sum(x.numel() * x.element_size() for x in numbers),
        stream=_stream(words),
    )


def _drawn(program: Program) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    if program.vocabulary is not None:
        return torch.randint(program.vocabulary, (64,), generator=generator)
    return torch.randn(64, program.inputs, generator=generator)


def _stream(words: Mapping[str, int | str]) -> int:
    """The size of the struct NAME_state, whose words of 8 bytes come first."""
    wide = 1 + int(words["keys"]) + 2 * int(words["counts"])
    narrow = sum(int(words[name]) for name in ("state", "values", "fired"))
    return 8 * wide + -(-narrow // 2) * 8


def _inlined(name: str, seen: set[str]) -> str:
    """A source with what it includes in place, each file once."""
    seen.add(name)
    text = (files("spikescan.ops") / "event" / name).read_text(encoding="utf-8")
    return _INCLUDE.sub(lambda m: "" if m[1] in seen else _inlined(m[1], seen), text)


def _filled(name: str, words: Mapping[str, int | str]) -> str:
    text = (files("spikescan.export") / "templates" / name).read_text(encoding="utf-8")
    return Template(text).substitute(words)


def _operations(code: Encoded) -> list[int]:
    return sorted(set(code.records[:, FIELDS.index("op")].tolist()))


def _operation(i: int) -> str:
    """What the C source calls an operation."""
    kind = OPERATIONS[i].__name__
    return _NAMES.get(kind, kind.upper())


def _rows(rows: Iterable[list[int]]) -> str:
    return ",\n".join("    {" + ", ".join(map(str, row)) + "}" for row in rows)


def _lines(words: list[str]) -> str:
    return ",\n".join("    " + ", ".join(words[i : i + 8]) for i in range(0, len(words), 8))


def _floats(x: Tensor) -> str:
    """The shortest decimals that read back as the same float32 numbers."""
    return _lines([f"{value}f" for value in x.float().flatten().numpy().astype(str)])


def _integers(x: Tensor) -> str:
    return _lines([str(value) for value in x.flatten().tolist()])


def _comment(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
