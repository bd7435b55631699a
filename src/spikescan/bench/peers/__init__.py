"""The libraries and forms that we are compared with, each at its best setting.

Nothing here imports a peer before a case that needs it is prepared.
"""

from __future__ import annotations

import functools
import importlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version


@dataclass(frozen=True)
class Peer:
    """A library that is not a dependency of this one."""

    title: str
    package: str
    """Name of the distribution."""
    major: int
    """Least major version: what is written for one does not run on the versions before."""
    install: str
    module: str | None = None
    """Name of the module where it is not that of the distribution."""


PEERS = {
    "spikingjelly": Peer(
        "SpikingJelly",
        "spikingjelly",
        2,
        # Its requirements name torchvision and torchaudio, which would replace a CPU-only torch.
        "pip install --no-deps 'spikingjelly>=2' && pip install 'spikescan[bench]'",
    ),
    "fla": Peer(
        "flash-linear-attention",
        "flash-linear-attention",
        0,
        "pip install flash-linear-attention",
        module="fla",
    ),
    "snntorch": Peer("snnTorch", "snntorch", 0, "pip install 'spikescan[bench]'"),
}


@functools.cache
def why_missing(name: str | None) -> str | None:
    """What to tell the user when a peer cannot be used, None when it can."""
    if name is None:
        return None
    peer = PEERS[name]
    try:
        found = version(peer.package)
        if int(found.partition(".")[0]) < peer.major:
            return f"{peer.title} {found} is too old: {peer.install}"
        importlib.import_module(peer.module or peer.package)
    except PackageNotFoundError:
        return f"{peer.title} is not installed: {peer.install}"
    except ImportError as error:
        return f"{peer.title} cannot be imported ({error}): {peer.install}"
    return None
