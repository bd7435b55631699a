"""A trained network for other machines and libraries: C99, NIR."""

from spikescan.export.c import Written, to_c
from spikescan.export.nir import CannotExport, nir_refusals, to_nir

__all__ = ["CannotExport", "Written", "nir_refusals", "to_c", "to_nir"]
