"""Everything public that keeps the contract is in its tests, and no part of it hides the future."""

from __future__ import annotations

import inspect
import re

import pytest
import torch
from cases import CASES, SO_FAR, Case
from torch import nn

import spikescan.models
import spikescan.neurons
from spikescan.neurons.base import Recurrent
from support import leaves

D = 6
EVERY = [*CASES, *SO_FAR]
every_by_name = pytest.mark.parametrize("case", EVERY, ids=lambda c: c.name)


def public() -> set[type]:
    """All public classes under the contract that can be made."""
    rooms = (spikescan.neurons, spikescan.models)
    found = {getattr(room, name) for room in rooms for name in room.__all__}
    return {
        kind
        for kind in found
        if inspect.isclass(kind) and issubclass(kind, Recurrent) and not inspect.isabstract(kind)
    }


def test_every_public_class_has_a_case() -> None:
    covered = {type(m) for case in EVERY for m in case.make(D).modules()}
    assert public() - covered == set()


@every_by_name
def test_a_module_is_causal_where_all_its_parts_are(case: Case) -> None:
    module = case.make(D)
    assert all(m.causal for m in module.modules() if isinstance(m, Recurrent)) == case.causal


class FutureNeuron(spikescan.Neuron):
    """Fires where the last step of the sequence is positive."""

    causal = False  # type: ignore[assignment]

    def forward(self, x, state=None, lengths=None):  # type: ignore[no-untyped-def]
        return (x[:, -1:] > 0).to(x.dtype).expand_as(x), None


@every_by_name
def test_any_neuron_that_reads_the_future_makes_the_whole_refuse(case: Case) -> None:
    """Each neuron in turn is replaced by one that reads the future."""
    names = [n for n, m in case.make(D).named_modules() if isinstance(m, spikescan.Neuron) and n]
    for name in names:
        module = case.make(D).eval()
        parent, _, attribute = name.rpartition(".")
        holder = module.get_submodule(parent)
        setattr(holder, attribute, FutureNeuron(holder.get_submodule(attribute).features))
        outer = next(m for m in module.modules() if isinstance(m, Recurrent))
        assert not outer.causal
        with pytest.raises(ValueError, match="reads the future here and has no step"):
            module.step(torch.zeros(2, D))
        with pytest.raises(ValueError, match="reads the future here and has no state"):
            module(torch.zeros(2, 5, D), ())


@every_by_name
def test_wrong_inputs_states_and_lengths_are_told_in_one_line(case: Case) -> None:
    module = case.make(D).eval()
    x = torch.zeros(2, 37, D)
    if isinstance(module, Recurrent):  # an image is given its shape by a wrapper
        for wrong, name in (([[0.0]], "list"), (x.numpy(), "ndarray")):
            with pytest.raises(TypeError, match=f"^x must be a tensor, got a {name}$"):
                module(wrong)
        packed = nn.utils.rnn.pack_sequence([x[0]])
        with pytest.raises(TypeError, match=r"got a PackedSequence; pad it, and give its lengths$"):
            module(packed)
    if not case.causal:
        return
    lengths = torch.tensor([3, 2])
    with pytest.raises(TypeError, match=r"^state must be None or a \w+, got a \w+$"):
        module(x, 3)
    with pytest.raises(TypeError, match=r"got a Tensor; lengths go by name: lengths=\.\.\.$"):
        module(x, lengths)


@every_by_name
@pytest.mark.parametrize("shape", [(2, 37, D + 1), (2, 37, D - 1), (37, D), (2, 3, 37, D)], ids=str)
def test_a_wrong_shape_is_told_in_one_line(case: Case, shape: tuple[int, ...]) -> None:
    module = case.make(D).eval()
    due = rf"\((?:B, T|\.\.\.), {D}\)(?: for {type(module).__name__}\({D}\))?"
    if not isinstance(module, Recurrent):  # the image that a wrapper makes has a channel too many
        module, shape = next(m for m in module.children()), (2, 37, 2, 2, 3)
        due = r"\(B, T, 1, H, W\)"
    came = re.escape(str(shape))
    with pytest.raises(ValueError, match=rf"^x must have shape {due}, got {came}$"):
        module(torch.zeros(shape))


@every_by_name
def test_lengths_are_taken_from_lists_and_arrays(case: Case) -> None:
    torch.manual_seed(0)
    module, x = case.make(D).eval(), torch.randn(2, 12, D)
    lengths = torch.tensor([12, 5])
    torch.manual_seed(3)
    expected, _ = module(x, lengths=lengths)
    for given in (lengths.tolist(), lengths.numpy(), lengths.int()):
        torch.manual_seed(3)
        assert torch.equal(module(x, lengths=given)[0], expected)


@every_by_name
def test_a_state_saved_by_torch_loads_without_pickle(case: Case, tmp_path) -> None:  # type: ignore[no-untyped-def]
    if not case.causal:
        pytest.skip("has no state")
    _, state = case.make(D).eval()(torch.randn(2, 7, D))
    torch.save(state, tmp_path / "state.pt")
    loaded = torch.load(tmp_path / "state.pt", weights_only=True)
    assert type(loaded) is type(state)
    assert all(torch.equal(a, b) for a, b in zip(leaves(state), leaves(loaded), strict=True))


@every_by_name
def test_a_module_is_made_on_the_meta_device(case: Case) -> None:
    with torch.device("meta"):
        module = case.make(D)
    assert all(t.is_meta for t in (*module.parameters(), *module.buffers()))
    torch.manual_seed(0)
    real = case.make(D)
    module.to_empty(device="cpu").load_state_dict(real.state_dict())
