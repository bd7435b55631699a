"""Text files in class folders, as bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from spikescan.data.own.base import OwnFiles
from spikescan.data.own.found import Found
from spikescan.data.own.items import Item
from spikescan.data.own.lines import read_text, require_encoding
from spikescan.data.own.split import Split
from spikescan.data.root import DataError


class TextFiles(OwnFiles):
    """Classes of texts, byte by byte: x (B, T) tokens with lengths, from a person's own files.

    The files are UTF-8, or as ``encoding`` says, in a folder with one folder for each class (which
    may stand in folders ``train`` and ``test``), or listed in a CSV with the columns ``path`` and
    ``label``.

    Args:
        path: Folder or CSV file, from the current folder or below ``root``.
        root: Folder that ``path`` is below; alone, it is the folder itself.
        batch_size: Texts in a batch.
        workers: Processes that prepare batches; 0 is fastest, as all data are in memory.
        seed: Seed of the order of the training data.
        split: How texts are dealt out to training, validation and test.
        found: Classes and length; without it the files are looked through.
        max_length: Bytes after which a text is cut off; None for as long as they are.
        encoding: Encoding of files that are not UTF-8, such as "cp1252" or "latin-1".

    Raises:
        ValueError: An argument is out of range.
    """

    suffixes = (".txt", ".md")
    vocabulary = 256

    def __init__(
        self,
        *,
        path: str | None = None,
        root: str | None = None,
        batch_size: int = 32,
        workers: int = 0,
        seed: int = 0,
        split: Split = Split(),
        found: Found | None = None,
        max_length: int | None = None,
        encoding: str | None = None,
    ) -> None:
        super().__init__(
            path=path,
            root=root,
            batch_size=batch_size,
            workers=workers,
            seed=seed,
            split=split,
            found=found,
            max_length=max_length,
        )
        require_encoding(encoding)
        self.encoding = encoding

    def sequences(self, file: Path) -> list[Item]:
        """Read one text; see :meth:`OwnFiles.sequences`."""
        content = read_text(file, self.encoding).encode()
        if not content:
            raise DataError(f"{file} is empty; remove it, or write it anew")
        if not content.strip():
            raise DataError(f"{file} holds nothing but white space; remove it, or write it anew")
        return [Item(file.name, torch.from_numpy(np.frombuffer(content, np.uint8).copy()))]
