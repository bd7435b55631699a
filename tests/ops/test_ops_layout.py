"""The argument structs and the constants of Python are those of the C sources."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

import pytest

import spikescan.ops
from spikescan.ops._core.cpu import call
from spikescan.ops.dsn.api import MAX_TAPS
from spikescan.ops.lif.api import RESETS
from spikescan.ops.spike_linear import cpu as product
from spikescan.ops.surrogate import SURROGATES

ROOT = Path(spikescan.ops.__file__).parent
SOURCES = "\n".join(path.read_text() for path in sorted(ROOT.rglob("*.h")))
STRUCTS = {
    name: re.sub(r"/\*.*?\*/", "", body, flags=re.S)
    for body, name in re.findall(
        r"typedef struct \{((?:(?!typedef).)*?)\} (\w+_args);", SOURCES, re.S
    )
}
KINDS = {"int64_t": ctypes.c_int64, "double": ctypes.c_double}


def fields_of(body: str) -> list[tuple[str, type]]:
    """Names and ctypes of the members of a C struct, in order; anything unknown is an error."""
    fields: list[tuple[str, type]] = []
    for statement in filter(str.strip, body.split(";")):
        match = re.fullmatch(
            r"\s*(?:const )?(void|uint8_t|uint64_t|int64_t|double) (.*)", statement, re.S
        )
        assert match, statement
        for member in match[2].split(","):
            name, pointer, count = re.fullmatch(r"\s*(\*?)(\w+)(?:\[(\d+)\])?\s*", member).group(
                2, 1, 3
            )  # type: ignore[union-attr]
            kind = ctypes.c_void_p if pointer else KINDS[match[1]]
            fields.append((name, kind * int(count) if count else kind))
    return fields


def arguments() -> dict[str, type[call.KernelArguments]]:
    """Every class that says it is a C struct, by the struct's name."""
    found = {}
    for kind in call.KernelArguments.__subclasses__():
        (name,) = re.findall(r"``(\w+)``", kind.__doc__ or "")
        found[name] = kind
    return found


def test_every_struct_has_its_class() -> None:
    assert set(arguments()) == set(STRUCTS)


@pytest.mark.parametrize("name", sorted(STRUCTS))
def test_fields_are_those_of_the_struct(name: str) -> None:
    """Same names, kinds and order; all members are of eight bytes, and so nothing lies between."""
    due = fields_of(STRUCTS[name])
    assert [n for n, _ in arguments()[name]._fields_] == [n for n, _ in due]
    for (field, mine), (_, kind) in zip(arguments()[name]._fields_, due, strict=True):
        assert mine is kind or issubclass(mine, ctypes.Array), field
        assert ctypes.sizeof(mine) == ctypes.sizeof(kind) > 0, field
        assert ctypes.sizeof(mine) % 8 == 0, field


@pytest.mark.parametrize("name", sorted(STRUCTS))
def test_flags_and_dtypes_name_fields(name: str) -> None:
    kind = arguments()[name]
    names = {field for field, _ in kind._fields_}
    assert kind.optional | kind.strided | set(kind.dtypes) <= names


def constant(name: str) -> int:
    (value,) = re.findall(rf"\b{name} = (\d+)", SOURCES)
    return int(value)


def codes(first: str) -> list[str]:
    (names,) = re.findall(rf"enum \{{ ({first}[A-Z_, ]*) \}}", SOURCES)
    return names.split(", ")


def test_constants_are_those_of_the_sources() -> None:
    assert constant("SPAN") == call.SPAN
    assert constant("MAX_TAPS") == MAX_TAPS
    assert constant("WORD") == product.WORD
    assert constant("FEW") == product._FEW
    named = [re.sub(r"(?<=[a-z])(?=[A-Z])", "_", s.__name__).upper() for s in SURROGATES]
    assert codes("ATAN") == ["ATAN", *named[1:]]
    assert [c.removeprefix("RESET_").lower() for c in codes("RESET_NONE")][:3] == list(RESETS)
