"""A trained network for other machines and libraries: C99, ONNX, NIR."""

from spikescan.export.c import Written, to_c
from spikescan.export.nir import CannotExport, nir_refusals, to_nir
from spikescan.export.onnx import StepGraph, onnx_refusals, to_onnx

__all__ = [
    "CannotExport",
    "StepGraph",
    "Written",
    "nir_refusals",
    "onnx_refusals",
    "to_c",
    "to_nir",
    "to_onnx",
]
