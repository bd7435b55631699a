"""Bernoulli spikes of a scaled and shifted input, in one pass."""

from spikescan.ops.bernoulli_affine.api import bernoulli_affine

__all__ = ["bernoulli_affine"]
