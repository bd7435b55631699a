"""Tensors and words in one file, in the safetensors format: nothing in it is ever unpickled."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from spikescan.errors import UsageError
from spikescan.train.whole import whole

_KINDS = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_WORDS = "__metadata__"


def write_tensors(path: Path, tensors: Mapping[str, Tensor], words: Mapping[str, str]) -> None:
    """Write tensors by name, and words by name beside them.

    Raises:
        Stopped: the file cannot be written.
    """
    names = {dtype: name for name, dtype in _KINDS.items()}
    header: dict[str, Any] = {_WORDS: dict(words)}
    content = bytearray()
    for name, tensor in tensors.items():
        flat = tensor.detach().cpu().contiguous()
        begin = len(content)
        content += flat.reshape(-1).view(torch.uint8).numpy().tobytes()
        header[name] = {
            "dtype": names[flat.dtype],
            "shape": list(flat.shape),
            "data_offsets": [begin, len(content)],
        }
    told = json.dumps(header, separators=(",", ":")).encode()
    told += b" " * (-len(told) % 8)  # numbers begin at a multiple of eight bytes
    with whole(path) as part:
        part.write_bytes(len(told).to_bytes(8, "little") + told + content)


def read_words(path: Path) -> dict[str, str]:
    """The words of a file; its tensors are not read.

    Raises:
        UsageError: the file is damaged, or something else.
    """
    return _opened(path, tensors=False)[1]


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the words of a file.

    Raises:
        UsageError: the file is damaged, or something else.
    """
    return _opened(path, tensors=True)


def _opened(path: Path, *, tensors: bool) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > path.stat().st_size:
                raise ValueError("it is cut off")
            header: dict[str, Any] = json.loads(file.read(length))
            words = dict(header.pop(_WORDS, {}))
            content = bytearray(file.read()) if tensors else bytearray()
        return {n: _tensor(content, **told) for n, told in header.items() if tensors}, words
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is no readable safetensors file: {error}") from error


def _tensor(
    content: bytearray, dtype: str, shape: list[int], data_offsets: tuple[int, int]
) -> Tensor:
    kind, (begin, end) = _KINDS[dtype], data_offsets
    count = math.prod(shape)
    if not 0 <= begin <= end <= len(content) or end - begin != count * kind.itemsize:
        raise ValueError("it is cut off")
    if not count:
        return torch.empty(shape, dtype=kind)
    return torch.frombuffer(content, dtype=kind, count=count, offset=begin).reshape(shape).clone()
