"""Train spiking networks on long sequences, run them step by step, know what they cost.

Neurons and models are torch modules with one contract: ``out, state = m(x, state)`` on whole
sequences (B, T, D), ``out_t, state = m.step(x_t, state)`` on single steps.

Names and rooms are imported when they are first asked for: ``spikescan.LIF`` needs torch,
``spikescan.train`` needs Lightning too, and ``spikescan --help`` neither.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

__version__ = version("spikescan")

_ROOMS = (
    *("bench", "cli", "data", "energy", "errors", "export", "models", "neurons"),
    *("ops", "recipes", "report", "stream", "tasks", "train"),
)
_HOMES = {
    "surrogate": "spikescan.ops",
    "NativeMissingWarning": "spikescan.ops._core.cpu",
    "load": "spikescan.train.trained",
    "keep_memory": "spikescan.memory",
    **dict.fromkeys(("CannotFold", "Program", "Stream", "fold"), "spikescan.stream"),
}

if TYPE_CHECKING:
    from spikescan import bench as bench
    from spikescan import cli as cli
    from spikescan import data as data
    from spikescan import energy as energy
    from spikescan import errors as errors
    from spikescan import export as export
    from spikescan import models as models
    from spikescan import neurons as neurons
    from spikescan import ops as ops
    from spikescan import recipes as recipes
    from spikescan import report as report
    from spikescan import stream as stream
    from spikescan import tasks as tasks
    from spikescan import train as train
    from spikescan.memory import keep_memory as keep_memory
    from spikescan.neurons import *  # noqa: F403
    from spikescan.ops import surrogate as surrogate
    from spikescan.ops._core.cpu import NativeMissingWarning as NativeMissingWarning
    from spikescan.stream import CannotFold as CannotFold
    from spikescan.stream import Program as Program
    from spikescan.stream import Stream as Stream
    from spikescan.stream import fold as fold
    from spikescan.train.trained import load as load
else:  # A checker sees the names above, and tells when one does not exist.

    def __getattr__(name: str) -> Any:
        if name in _ROOMS:
            return import_module(f"spikescan.{name}")
        if name == "__all__":
            return [*import_module("spikescan.neurons").__all__, *_HOMES, *_ROOMS]
        home = import_module(_HOMES.get(name, "spikescan.neurons"))
        if name not in _HOMES and name not in home.__all__:
            raise AttributeError(f"module 'spikescan' has no attribute {name!r}", name=name)
        value = globals()[name] = getattr(home, name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__getattr__("__all__")})
