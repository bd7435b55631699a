"""What a person should know of sequences before anything is learned from them, a line each."""

from __future__ import annotations

from collections.abc import Sequence

from spikescan.data.own.columns import counts
from spikescan.data.own.items import Item


def unknown_rates(items: Sequence[Item]) -> list[str]:
    """What to say of sequences that do not tell their rate where others do."""
    silent = [item.name for item in items if item.rate is None]
    if not 0 < len(silent) < len(items):
        return []
    return [
        f"{len(silent):,} of {len(items):,} sequences do not tell their rate, first {silent[0]}; it"
        " is taken to be that of the others"
    ]


def odd_channels(items: Sequence[Item]) -> list[str]:
    """What to say of channels that may be no measurements: that stand still in each sequence, or
    count its steps."""
    still, counting, telling = [], [], []
    for c, name in enumerate(items[0].channels):
        kin = (item.values for item in items if item.channels == items[0].channels)
        channels = [values[:, c].double().numpy() for values in kin if len(values) > 2]
        if not channels:
            continue
        if all(channel.min() == channel.max() for channel in channels):
            still.append(name)
            pairs = {(item.label, float(item.values[0, c])) for item in items}
            classes, values = ({*both} for both in zip(*pairs, strict=True))
            if len(pairs) == len(classes) == len(values) > 1:
                telling.append(name)
        elif all(counts(channel) for channel in channels):
            counting.append(name)
    mute = [i.name for i in items if len(i.values) > 2 and bool((i.values == i.values[0]).all())]
    silent = (
        [f"{len(mute):,} of {len(items):,} sequences stand still throughout, first {mute[0]}"]
        if 0 < len(mute) < len(items)
        else []
    )
    return silent + [
        f"{what} in every sequence: {', '.join(names)}; if that is no measurement, leave it out"
        for what, names in (
            ("the same throughout", [name for name in still if name not in telling]),
            ("the same throughout, and another one in each class,", telling),
            ("growing evenly", counting),
        )
        if names
    ]
