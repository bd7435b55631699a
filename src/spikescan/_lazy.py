"""Names of a package that are imported when one of them is first asked for."""

from collections.abc import Callable
from importlib import import_module
from typing import Any


def names_of(api: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """A package's ``__getattr__`` and ``__dir__``: its names are those of the module ``api``."""
    package = api.rpartition(".")[0]

    def __getattr__(name: str) -> Any:
        if name == "__path__" or (name.startswith("__") and name != "__all__"):
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name)
        module = import_module(api)
        if name != "__all__" and name not in module.__all__:
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name)
        return getattr(module, name)

    def __dir__() -> list[str]:
        return sorted(import_module(api).__all__)

    return __getattr__, __dir__
