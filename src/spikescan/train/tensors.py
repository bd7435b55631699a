"""Tensors and words in one file, in the safetensors format: nothing in it is ever unpickled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from spikescan.errors import UsageError
from spikescan.train.whole import whole


def write_tensors(path: Path, tensors: Mapping[str, Tensor], words: Mapping[str, str]) -> None:
    """Write tensors by name, and words by name beside them.

    Raises:
        Stopped: the file cannot be written.
    """
    # Copies, since the format refuses tensors that share their memory.
    flat = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with whole(path) as part:
        part.touch()
        mode = part.stat().st_mode
        save_file(flat, part, metadata=dict(words))
        # safetensors makes a file of its own that nobody else may read.
        part.chmod(mode)


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
        with safe_open(path, framework="pt") as file:
            found = {name: file.get_tensor(name) for name in file.keys() if tensors}  # noqa: SIM118
            return found, dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise UsageError(f"{path} is no readable safetensors file: {error}") from error
