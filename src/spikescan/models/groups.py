"""Optimizer groups, told by the modules themselves."""

from __future__ import annotations

from typing import Any

from torch import nn

from spikescan.neurons import Neuron, StateSpace


def parameter_groups(
    model: nn.Module, *, lr: float, neuron_lr: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Groups of parameters for a torch optimizer, with their learning rates and weight decay.

    Matrices decay; biases, norms and other vectors do not; what a neuron or a
    state-space model calls its own (:meth:`~spikescan.Neuron.neuron_parameters`) trains at
    ``neuron_lr`` and does not decay.

    >>> groups = parameter_groups(nn.Linear(2, 3), lr=0.1, neuron_lr=0.01, weight_decay=0.05)
    >>> [(g["lr"], g["weight_decay"], len(g["params"])) for g in groups]
    [(0.1, 0.05, 1), (0.1, 0.0, 1)]
    """
    dynamics = [m for m in model.modules() if isinstance(m, Neuron | StateSpace)]
    neuron = {id(p): p for m in dynamics for p in m.neuron_parameters()}
    rest = [p for p in model.parameters() if p.requires_grad and id(p) not in neuron]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in rest if p.ndim > 1], "lr": lr, "weight_decay": weight_decay},
        {"params": [p for p in rest if p.ndim <= 1], "lr": lr, "weight_decay": 0.0},
        {
            "params": [p for p in neuron.values() if p.requires_grad],
            "lr": neuron_lr,
            "weight_decay": 0.0,
        },
    ]
    return [group for group in groups if group["params"]]
