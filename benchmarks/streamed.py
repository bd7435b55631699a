"""Do folded programs answer as the networks that they were made of? On the whole test data of runs.

``python benchmarks/streamed.py RUN...`` folds the network of each run and streams its test data
through the program, with weights in float32 and of 8 bits. It counts the spikes that differ from
those of the network, and keeps the figures in ``streamed.json`` beside this file, where those of
other runs stay; ``python docs/results.py`` writes them into the documentation. A minute a run on
two cores.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn

import spikescan
from spikescan.cli.stream import some_sequences
from spikescan.data import SequenceBatch
from spikescan.neurons import Neuron
from spikescan.neurons.sampler import Stochastic
from spikescan.stream import Program, Stream
from spikescan.train.trained import load_with_data


def streamed(program: Program, batch: SequenceBatch) -> Tensor:
    """The answers (B,) of a program to a batch, each sequence a stream of its own."""
    out = Stream(program, len(batch.x)).push(batch.x, batch.lengths)
    ends = torch.full((len(out),), out.shape[1]) if batch.lengths is None else batch.lengths
    return out[torch.arange(len(out)), ends - 1].argmax(-1)


def spikes(model: nn.Module, batch: SequenceBatch) -> tuple[Tensor, dict[str, Tensor]]:
    """The network's answers (B,), and what each layer of neurons fired."""
    fired: dict[str, Tensor] = {}
    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, Neuron) and not isinstance(module, Stochastic):
            keep = partial(lambda name, _m, _i, out: fired.update({name: out[0]}), name)
            hooks.append(module.register_forward_hook(keep))
    out, _ = model(batch.x, lengths=batch.lengths)
    for hook in hooks:
        hook.remove()
    return out.argmax(-1), fired


@torch.no_grad()
def measure(run: str) -> dict[str, Any]:
    """The figures of one run."""
    task, data = load_with_data(run)
    for module in task.model.modules():
        if isinstance(module, Stochastic):  # what it passes on are probabilities, not spikes
            module.evaluation = "mean"
    program = spikescan.fold(task.model)
    # Of 8 bits are weights that spikes drive: there neurons that fire at random do.
    torch.manual_seed(0)
    small = spikescan.fold(task.model, evaluation="sample").quantize(some_sequences(data))
    data.setup("test")
    right = {"network": 0, "program": 0, "int8": 0}
    same = items = compared = differing = 0
    batches: Iterable[SequenceBatch] = data.test_dataloader()
    for batch in batches:
        answers, fired = spikes(task.model, batch)
        values, _ = program.trace(batch.x)
        steps = torch.arange(batch.x.shape[1])
        inside = torch.ones(len(batch.x), len(steps), dtype=torch.bool)
        if batch.lengths is not None:
            inside = steps < batch.lengths[:, None]
        for name, s in fired.items():
            ours, theirs = values[name][inside], s[inside]
            compared += int((theirs != 0).sum())
            differing += int((ours != theirs).sum())
        said = {"network": answers, "program": streamed(program, batch)}
        said["int8"] = streamed(small, batch)
        for kind, answer in said.items():
            right[kind] += int((answer == batch.y).sum())
        same += int((said["program"] == answers).sum())
        items += len(answers)
    accuracies = {kind: n / items for kind, n in right.items()}
    config = yaml.safe_load(Path(run, "config.yaml").read_text(encoding="utf-8"))
    recipe = config["title"].partition(":")[0]
    told = {"items": items, "same_answers": same, "spikes": compared, "differing": differing}
    return {"recipe": recipe, **accuracies, **told}


if __name__ == "__main__":
    file = Path(__file__).with_suffix(".json")
    rows = {row["recipe"]: row for row in json.loads(file.read_text(encoding="utf-8"))}
    rows |= {row["recipe"]: row for row in map(measure, sys.argv[1:])}
    file.write_text(json.dumps(list(rows.values()), indent=2) + "\n", encoding="utf-8")
