"""Normalisation of sequences (B, T, D) that does not look at padding.

``out = norm(x, lengths, residual)`` adds the normalised x to a residual stream where one is given.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal, cast

import torch
from torch import Tensor, distributed, nn
from torch.autograd import Function

from spikescan import ops

NormKind = Literal["batch", "layer", "none"]


def inside(lengths: Tensor, steps: int) -> Tensor:
    """Mask (B, T, 1), true at each row's valid steps."""
    return (torch.arange(steps, device=lengths.device) < lengths[:, None]).unsqueeze(-1)


def without_padding(x: Tensor, lengths: Tensor | None) -> Tensor:
    """The stream (B, T, D) with zeros in its padding."""
    # Padding may hold NaN, and a parameter's zero gradient times NaN is NaN.
    return x if lengths is None else torch.where(inside(lengths, x.shape[1]), x, 0)


class BatchNorm(nn.Module):
    r"""Batch normalisation over batch and time, (B, T, D) with channels last.

    .. math:: z_t = r_t + w \frac{x_t - \mu}{\sqrt{\sigma^2 + \epsilon}} + b

    with a residual stream r, if one is given. Statistics are those of valid steps only; of all
    processes, once ``torch.nn.SyncBatchNorm.convert_sync_batchnorm`` or Lightning's
    ``sync_batchnorm`` has converted the network. It has no meaning for a single step or chunk in
    training, where whole sequences define the statistics: use ``eval()`` to run step by step.

    Parameters and running statistics are those of the torch layer ``inner``, which is never called:
    torch's tools for weight averaging (``update_bn``), freezing and conversion find it by its type.

    Args:
        features: number of channels D.
        eps: ε, added to the variance.
        momentum: least weight of a batch in the running statistics, which are the mean of all
            batches until there are 1 / momentum; None for the mean of all.

    Raises:
        ValueError: a shape does not fit, or fewer than two steps are to give statistics.
    """

    def __init__(self, features: int, *, eps: float = 1e-5, momentum: float | None = 0.1) -> None:
        super().__init__()
        self.inner = nn.BatchNorm1d(features, eps=eps, momentum=momentum)
        self.shared = False
        """Whether all processes of ``group``, None for all there are, share their statistics."""
        self.group: distributed.ProcessGroup | None = None

    def add_module(self, name: str, module: nn.Module | None) -> None:
        # A conversion hands in the layer that is to take the place of ours. What it asks for is
        # kept, not the layer: DistributedDataParallel refuses its type on all devices but GPUs.
        if isinstance(module, nn.SyncBatchNorm):
            self.shared, self.group = True, module.process_group
        else:
            super().add_module(name, module)

    def forward(
        self, x: Tensor, lengths: Tensor | None = None, residual: Tensor | None = None
    ) -> Tensor:
        inner = self.inner
        run = partial(
            *(ops.batch_norm, x, inner.weight, inner.bias),
            residual=residual,
            eps=inner.eps,
            lengths=lengths,
        )
        if not inner.training:
            return run(mean=inner.running_mean, var=inner.running_var).out
        group = self._processes()
        if group is None:
            count: int | Tensor = x.shape[0] * x.shape[1] if lengths is None else lengths.sum()
            out, mean, var = run()
        else:
            mean, var, count = _shared_statistics(x, lengths, group)
            # Its plain torch form differentiates mean and variance.
            out, mean, var = run(mean=mean, var=var, impl="reference")
        self._track(mean, var, count)
        return out

    def _processes(self) -> distributed.ProcessGroup | None:
        """The processes that share their statistics, None for this one alone."""
        if not (self.shared and distributed.is_available() and distributed.is_initialized()):
            return None
        group = self.group or distributed.group.WORLD
        return group if distributed.get_world_size(group) > 1 else None

    @torch.no_grad()
    def _track(self, mean: Tensor, var: Tensor, count: int | Tensor) -> None:
        """Let the running statistics follow those of a batch of ``count`` steps."""
        inner, (running_mean, running_var, batches) = self.inner, self._statistics()
        batches.add_(1)
        # The mean of all batches, as long as they are few: from its start at 1 a running variance
        # of rare spikes, 1e-4 or less, would need a hundred batches.
        weight = 1 / batches.double()
        if inner.momentum is not None:
            weight = weight.clamp(min=inner.momentum)
        # Compiled code cannot refuse a single step, whose variance is zero.
        rest = max(count - 1, 1) if isinstance(count, int) else (count - 1).clamp(min=1).double()
        for kept, new in ((running_mean, mean), (running_var, var * (count / rest))):
            kept.lerp_(new.to(kept.dtype), weight)

    def _statistics(self) -> tuple[Tensor, Tensor, Tensor]:
        """Running mean, running variance and number of batches; ``inner`` always has them."""
        inner = self.inner
        return cast(
            "tuple[Tensor, Tensor, Tensor]",
            (inner.running_mean, inner.running_var, inner.num_batches_tracked),
        )


class _SumOfAll(Function):
    """The sum of a tensor over all processes; so is its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: distributed.ProcessGroup) -> Tensor:
        ctx.group = group
        total = x.clone()
        distributed.all_reduce(total, group=group)  # pyright: ignore[reportUnknownMemberType]
        return total

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return _sum_of_all(g, ctx.group), None


def _sum_of_all(x: Tensor, group: distributed.ProcessGroup) -> Tensor:
    return cast(Tensor, _SumOfAll.apply(x, group))  # pyright: ignore[reportUnknownMemberType]


def _shared_statistics(
    x: Tensor, lengths: Tensor | None, group: distributed.ProcessGroup
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and variance (D,) of the valid steps of all processes, float64, and their number."""
    x = without_padding(x, lengths).to(torch.promote_types(x.dtype, torch.float32))
    steps = torch.tensor(x.shape[0] * x.shape[1]) if lengths is None else lengths.sum()
    count = _sum_of_all(steps.to(x.device), group)
    if count < 2:
        raise ValueError(f"statistics need more than one valid step, all processes have {count}")
    mean = _sum_of_all(x.sum((0, 1), dtype=torch.float64), group) / count
    off = without_padding(x - mean.to(x.dtype), lengths)
    var = _sum_of_all(off.square().sum((0, 1), dtype=torch.float64), group) / count
    return mean, var, count


class LayerNorm(nn.LayerNorm):
    """Layer normalisation of each step; in the padding, that of zeros."""

    def forward(
        self, input: Tensor, lengths: Tensor | None = None, residual: Tensor | None = None
    ) -> Tensor:
        return _joined(super().forward(without_padding(input, lengths)), residual)


class NoNorm(nn.Identity):
    """No normalisation: what comes passes, in the padding too."""

    def forward(
        self, input: Tensor, lengths: Tensor | None = None, residual: Tensor | None = None
    ) -> Tensor:
        return _joined(input, residual)


def _joined(x: Tensor, residual: Tensor | None) -> Tensor:
    return x if residual is None else residual + x


def make_norm(kind: NormKind, features: int) -> BatchNorm | LayerNorm | NoNorm:
    """The normalisation called ``kind`` for ``features`` channels.

    Raises:
        ValueError: the name is unknown.
    """
    if kind == "batch":
        return BatchNorm(features)
    if kind == "layer":
        return LayerNorm(features)
    if kind == "none":
        return NoNorm()
    raise ValueError(f"norm must be 'batch', 'layer' or 'none', got {kind!r}")
