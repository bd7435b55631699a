"""Tables of what the scripts in ``benchmarks`` and the networks of the zoo keep."""

from __future__ import annotations

import shlex
from statistics import mean
from typing import Any

from spikescan.report.energy import joules
from spikescan.train.packed import packed_result
from spikescan.train.tables import Group, duration, markdown
from spikescan.zoo import zoo


def mixed(rows: list[dict[str, Any]]) -> str:
    """Accuracy in both precisions, the seeds side by side."""
    lines = [("recipe", "float32", "bf16-mixed")]
    for recipe in dict.fromkeys(row["recipe"] for row in rows):
        full, half = (
            " / ".join(
                f"{100 * row['accuracy']:.2f} %"
                for row in rows
                if (row["recipe"], row["precision"]) == (recipe, precision)
            )
            for precision in ("32", "bf16-mixed")
        )
        lines.append((f"`{recipe}`", full, half))
    return markdown(lines) if rows else "Not run yet."


def firing(rows: list[dict[str, Any]]) -> str:
    """What asking for less firing does."""
    head = (
        *("recipe", "`task.firing.rate`", "fires", "test accuracy"),
        *("energy a sequence", "steps a second"),
    )
    told: list[tuple[str, ...]] = [head]
    for row in rows:
        fires, accuracy = (f"{100 * row[name]:.1f} %" for name in ("firing_rate", "accuracy"))
        pace = f"{row['steps_per_second']:,.0f}"
        recipe, rate = f"`{shlex.split(row['command'])[2]}`", str(row["rate"] or "none")
        told.append((recipe, rate, fires, accuracy, joules(row["energy"]), pace))
    return markdown(told)


def streamed(rows: list[dict[str, Any]]) -> str:
    """Networks and the programs folded from them."""
    lines: list[tuple[str, ...]] = [
        ("recipe", "network", "program", "weights of 8 bits", "same answers", "differing spikes")
    ]
    for row in rows:
        accuracies = (f"{100 * row[kind]:.2f} %" for kind in ("network", "program", "int8"))
        same = f"{row['same_answers']:,} of {row['items']:,}"
        differ = f"{row['differing']:,} of {row['spikes']:,}" if row["spikes"] else "none compared"
        lines.append((row["recipe"], *accuracies, same, differ))
    return markdown(lines)


def energies() -> str:
    """What sequences cost the networks of the zoo, in microjoules."""
    told = [packed_result(path)["results"] for path in zoo().values()]
    rows = [("a sequence costs, in µJ", *(f"`{name}`" for name in zoo()))]
    rows.append(("mean firing rate", *(f"{100 * one['firing_rate']:.1f} %" for one in told)))
    for words, account, what in (
        ("papers", "papers", "computing"),
        ("full count", "full", "computing"),
        ("full count, with memory", "full", "total"),
        ("full count in int8, with memory", "int8", "total"),
        ("dense float32", "dense_float32", "computing"),
        ("dense float32, with memory", "dense_float32", "total"),
        ("dense int8", "dense_int8", "computing"),
        ("dense int8, with memory", "dense_int8", "total"),
        ("S4", "s4", "computing"),
    ):
        values = [1e6 * one["energy"]["estimates"][account][what] for one in told]
        rows.append((words, *(f"{v:,.0f}" if v >= 100 else f"{v:.3g}" for v in values)))
    for at, table in enumerate(("float32", "int8")):
        met = [one["energy"]["break_even"][at] for one in told]
        cells = [f"{_share(m['computing'])}, {_share(m['with_memory'])}" for m in met]
        rows.append((f"break-even in {table}: computing, with memory", *cells))
    counts = [one["energy"]["estimates"] for one in told]
    off = ", ".join(
        f"{count['full']['computing'] / count['papers']['computing']:.1f} (`{name}`)"
        for name, count in zip(zoo(), counts, strict=True)
    )
    memory = [count["full"]["memory"] / count["full"]["computing"] for count in counts]
    return (
        f"{markdown(rows)}\n\nThe full count is these times the papers' formula: {off}. Memory, "
        f"which the formula leaves out, costs {min(memory):.0f} to {max(memory):.0f} times what "
        "computing does."
    )


def _share(rate: float | None) -> str:
    """A firing rate below which a network costs less."""
    if rate is None:
        return "none"
    return "any" if rate >= 1 else f"{100 * rate:.1f} %"


def to_accuracy(rows: list[dict[str, Any]]) -> str:
    """What time and accuracy were measured on, and what came."""
    told = " and ".join(
        f"{row['seconds'][-1]:.0f} s to {100 * row['accuracy'][-1]:.1f} % "
        f"({row['precision'].replace('32', 'float32')})"
        for row in rows
    )
    one = rows[0]
    return (
        f"Permuted sequential MNIST, one seed, {len(one['seconds'])} epochs: {told}; "
        f"{one['threads']} threads of an {one['processor']}, torch {one['torch']}, {one['date']} "
        "(`benchmarks/time_to_accuracy.py`, whose numbers lie beside it)."
    )


def control(found: dict[str, list[Group]]) -> str:
    """Returns of live episodes, beside those of the expert, of chance and of what was learned
    from."""
    head = ("recipe", "return ↑", "seeds", "expert", "learned from", "random")
    lines: list[tuple[str, ...]] = [(*head, "spikes a decision", "parameters", "what was changed")]
    for recipe, groups in found.items():
        for group in groups:
            beside = [
                group.values(f"test_{name}")
                for name in ("expert_return", "learned_from", "random_return", "spikes_a_decision")
            ]
            if not beside[1]:
                continue
            told = [f"{mean(values):.4g}" if values else "-" for values in beside]
            changed = group.command.removeprefix(f"spikescan train {recipe}").strip()
            row = (f"`{recipe}`", group.score, str(len(group.runs)), *told, group.parameters)
            lines.append((*row, f"`{changed}`" if changed else "-"))
    return markdown(lines)


def trials(rows: list[dict[str, Any]]) -> str:
    """Two hundred steps of large recipes."""
    if not rows:
        return "Not run yet."
    lines = [("recipe", "parameters", "loss of the first 20 steps", "of the last 20", "an epoch")]
    for row in rows:
        first, *_, last = (f"{loss:.3f}" for loss in row["losses"])
        epoch = duration(row["epoch_seconds"])
        command = f"`{row['command'].removeprefix('spikescan train ')}`"
        lines.append((command, f"{row['parameters']:,}", first, last, epoch))
    machine = rows[0]
    return (
        f"{markdown(lines)}\n\n{machine['processor']}, threads: {machine['threads']}, torch "
        f"{machine['torch']}; an epoch is one of the whole task."
    )
