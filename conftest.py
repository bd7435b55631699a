"""Doctests are collected from the sources too: those of the GPU kernels only where Triton is."""

from importlib.util import find_spec

_TRITON = ("*/triton.py", "*/triton_kernels.py", "_core/triton/*")
collect_ignore_glob = (
    [] if find_spec("triton") else [f"src/spikescan/ops/{files}" for files in _TRITON]
)
