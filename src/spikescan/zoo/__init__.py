"""The model zoo: trained networks that come with the package, a file each."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent


def zoo() -> dict[str, Path]:
    """The files of the trained networks by name."""
    return {path.stem: path for path in sorted(_FOLDER.glob("*.safetensors"))}
