"""Bernoulli spikes for probabilistic neurons."""

from spikescan.ops.bernoulli.api import bernoulli, fresh_keys, split_keys

__all__ = ["bernoulli", "fresh_keys", "split_keys"]
