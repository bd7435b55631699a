"""What a person's files are, told from their names and first lines."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Literal

from spikescan.data.frame import ENDS
from spikescan.data.own.csv import IDS
from spikescan.data.own.items import LABEL, PATH, column
from spikescan.data.own.table import Table, read_text
from spikescan.data.own.text import TextFiles
from spikescan.data.own.ts import split_files
from spikescan.data.own.wav import Wav
from spikescan.data.root import DataError

Kind = Literal["wav", "csv", "npz", "ts", "text", "series"]

_ENDS: dict[str, Kind] = {
    **dict.fromkeys(Wav.suffixes, "wav"),
    **dict.fromkeys(TextFiles.suffixes, "text"),
    ".csv": "csv",
    ".tsv": "csv",
    ".npz": "npz",
    ".ts": "ts",
}
KNOWN = ", ".join(_ENDS)
_IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")


def kind_of(place: Path) -> Kind:
    """The kind of a folder, by the files that it has most of, or of a file.

    Raises:
        DataError: there is nothing, or nothing that is known.
    """
    if place.is_dir():
        deep: Counter[Kind | None] = Counter()
        flat: Counter[Kind | None] = Counter()
        for file in place.rglob("*"):
            if file.is_file() and not file.name.startswith("."):
                (flat if file.parent == place else deep)[_kind(file)] += 1
        # Of files beside the class folders, a .ts or .npz is a data set; a CSV may be a note.
        for found, _ in (deep or flat).most_common():
            if found is not None:
                return found
        images = any(file.suffix.lower() in _IMAGES for file in place.rglob("*"))
        hint = "; images go in as the arrays of an .npz file" if images else ""
        raise DataError(f"{place} has no files of a kind that is read: {KNOWN}{hint}")
    if not place.is_file():
        if place.suffix == ".ts" and split_files(place)[0].is_file():
            return "ts"
        raise DataError(f"there is no {place}")
    if place.suffix.lower() in ENDS:
        return "series"
    kind = _kind(place)
    if kind == "wav":
        raise DataError(
            f"{place} is one recording, which has no class; give the folder that has a folder for "
            "each class"
        )
    if kind != "csv":
        if kind is None:
            read_text(place)  # Whatever it is called, it may be a text.
        return kind or "text"
    table = Table(place)
    path = column(table, PATH)
    if path is not None:
        first = Path(table.column(path)[0])
        listed = _kind(first)
        if listed is None:
            raise DataError(f"{place} lists {first}, and files are read that end in {KNOWN}")
        return listed
    if column(table, IDS) is not None and column(table, LABEL) is not None:
        return "csv"
    return "series"


def _kind(file: Path) -> Kind | None:
    name = file.name.lower()
    return _ENDS.get(Path(name.removesuffix(".gz")).suffix)
