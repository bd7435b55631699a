"""Comparison of results: what makes a benchmark's numbers worth reading."""

from __future__ import annotations

from torch import Tensor

from spikescan.bench.case import OURS, Outputs, Runs, Wrong


def same(
    ours: Outputs, other: Outputs, *, who: str, spikes: float = 0.0, gradient: float = 1e-5
) -> str:
    """Tell how ours compares with another computation of the same thing.

    Args:
        ours: spikes (B, T, D), then gradients.
        other: the same from elsewhere; gradients it does not have may be missing at the end.
        who: the other's name.
        spikes: share of the spikes that may differ, 0 for none at all.
        gradient: largest relative error of a gradient, in the Euclidean norm.

    Raises:
        Wrong: they differ by more.
    """
    if ours[0].shape != other[0].shape:
        raise Wrong(f"spikes have shape {tuple(ours[0].shape)}, {who} {tuple(other[0].shape)}")
    differ = int((ours[0] != other[0]).sum())
    count = int(other[0].count_nonzero())
    said = f"{differ:,} of {count:,} spikes differ from {who}"
    if count == 0:
        raise Wrong(f"no spikes in {who}: a comparison would say nothing")
    if not differ <= spikes * count:
        raise Wrong(said)
    errors = [relative_error(a, b) for a, b in zip(ours[1:], other[1:], strict=False)]
    if errors:
        said += f", gradients within {max(errors):.1e}"
        if not all(error <= gradient for error in errors):  # NaN is no agreement
            raise Wrong(f"{said}, allowed {gradient:.0e}")
    return said


def relative_error(a: Tensor, b: Tensor) -> float:
    """Norm of the difference over the norm of b."""
    size = float(b.double().norm() if b.numel() < 1 << 20 else b.norm())
    return float((a - b).norm()) / size if size else float(a.norm())


def with_loop(runs: Runs, loop: Outputs, peers: dict[str, float], *, gradient: float) -> str:
    """Compare ours with a plain loop exactly, and with those peers that are here.

    Args:
        runs: the functions of the case.
        loop: results of the loop.
        peers: share of spikes in which each may differ.
        gradient: largest relative error of a gradient.
    """
    ours = runs[OURS]()
    said = [same(ours, loop, who="the float32 loop", gradient=gradient)]
    for name, share in peers.items():
        if name in runs:
            said.append(same(ours, runs[name](), who=name, spikes=share, gradient=gradient))
    return "; ".join(said)
