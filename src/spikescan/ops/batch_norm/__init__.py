"""Batch normalisation of sequences, joined to a stream."""

from spikescan.ops.batch_norm.api import BatchNormOutput, batch_norm

__all__ = ["BatchNormOutput", "batch_norm"]
