"""One contract for everything recurrent: whole = chunks = steps, lengths, and torch's own tools."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from cases import CASES, CAUSAL, Case
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounterWithBackend
from torch.utils import _pytree as pytree

from support import draw, give_statistics, leaves
from tolerance import Table, assert_close

D, T = 6, 37
CUTS: dict[str, Sequence[int]] = {
    "halves": (18, 19),
    "uneven": (1, 5, 30, 1),
    "steps": (1,) * T,
}
by_name = pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
FIRST = {case.name.partition("-")[0]: case for case in reversed(CASES)}.values()
causal_by_name = pytest.mark.parametrize("case", CAUSAL, ids=lambda c: c.name)


def build(case: Case, dtype: torch.dtype, training: bool) -> nn.Module:
    torch.manual_seed(0)
    module = case.make(D).to(dtype)
    give_statistics(module)
    return module.train(training)


def real_leaves(state: Any) -> list[Tensor]:
    """Those with gradients; a random state also holds whole numbers: keys and steps."""
    return [leaf for leaf in leaves(state) if leaf.is_floating_point()]


def call(module: nn.Module, x: Tensor, *state: Any, **options: Any) -> Any:
    """The module on x; one that fires at random draws the same numbers each time."""
    torch.manual_seed(3)
    return module(x, *state, **options)


def assert_same_state(got: Any, expected: Any, table: Table, rows: slice = slice(None)) -> None:
    for a, b in zip(leaves(got), leaves(expected), strict=True):
        if b.is_floating_point():
            assert_close(a[rows], b, table)
        else:
            assert torch.equal(a[rows], b)


def random_state(module: nn.Module, batch: int, dtype: torch.dtype) -> Any:
    """A state of the right structure with random values that ask for gradients."""
    with torch.no_grad():
        _, state = module(draw(batch, 3, D, dtype=dtype, seed=9))
    return pytree.tree_map_only(
        Tensor, lambda v: v.detach().clone().requires_grad_(v.is_floating_point()), state
    )


def gradients(module: nn.Module, x: Tensor, start: Any, out: Tensor, state: Any) -> dict[str, Any]:
    """Gradients of a loss through outputs and final state, by name."""
    loss = (out * draw(*out.shape, dtype=out.dtype, seed=2)).sum()
    for i, leaf in enumerate(real_leaves(state)):
        loss = loss + (leaf * draw(*leaf.shape, dtype=leaf.dtype, seed=3 + i)).sum()
    wanted = {"x": x, **{f"state {i}": v for i, v in enumerate(real_leaves(start))}}
    wanted |= dict(module.named_parameters())
    found = torch.autograd.grad(loss, list(wanted.values()), allow_unused=True)
    return dict(zip(wanted, found, strict=True))


def assert_same_gradients(case: Case, got: dict[str, Any], expected: dict[str, Any]) -> None:
    assert any(g is not None and bool(g.any()) for g in expected.values())
    largest = max(float(g.abs().max()) for g in expected.values() if g is not None)
    for name, value in expected.items():
        if value is None:
            assert got[name] is None, name
            continue
        table = case.element if name == "x" or name.startswith("state") else case.summed
        pair = got[name], value
        if value.ndim == 0:
            # A tolerance is relative to the largest element. A single number, such as the scale in
            # front of a layer normalisation, may be what large terms leave: theirs is the measure.
            pair = tuple(torch.stack((g, g.new_tensor(largest))) for g in pair)
        assert_close(*pair, table, name)


@causal_by_name
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("batch", [1, 3])
def test_whole_is_chunks_is_steps(
    case: Case, training: bool, dtype: torch.dtype, batch: int
) -> None:
    if training and case.whole_sequences:
        pytest.skip("batch normalisation trains on the statistics of whole sequences")
    module = build(case, dtype, training)
    x = draw(batch, T, D, dtype=dtype).requires_grad_()
    start = random_state(module, batch, dtype)
    whole, last = module(x, start)
    expected = gradients(module, x, start, whole, last)
    spikes = set(whole.detach().unique().tolist()) <= {0.0, 1.0}
    if spikes:
        assert 0 < whole.mean() < 1, "the test input must make some neurons fire and some not"
    for name, cuts in CUTS.items():
        pieces, state = [], start
        for piece in x.split(cuts, dim=1):
            if name == "steps":
                out, state = module.step(piece[:, 0], state)
                pieces.append(out[:, None])
            else:
                out, state = module(piece, state)
                pieces.append(out)
        parts = torch.cat(pieces, 1)
        if spikes:
            assert torch.equal(parts, whole), name
        else:
            assert_close(parts, whole, case.element, name)
        assert_same_state(state, last, case.element)
        assert_same_gradients(case, gradients(module, x, start, parts, state), expected)


@by_name
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_padded_rows_equal_rows_alone(case: Case, dtype: torch.dtype) -> None:
    module = build(case, dtype, training=False)
    lengths = torch.tensor([T, 20, 1])
    x = draw(3, T, D, dtype=dtype)
    outputs, state = call(module, x, lengths=lengths)
    # Rows take their random numbers one after the other, alone as in a batch.
    torch.manual_seed(3)
    for row, n in enumerate(lengths.tolist()):
        alone, alone_state = module(x[row : row + 1, :n])
        assert_close(outputs[row : row + 1, :n], alone, case.element, f"row {row}")
        if case.causal:
            mine = slice(row * case.state_rows, (row + 1) * case.state_rows)
            assert_same_state(state, alone_state, case.element, mine)


@by_name
def test_nothing_leaks_from_padding(case: Case) -> None:
    module = build(case, torch.float32, training=True)
    lengths = torch.tensor([T, 20, 1])
    valid = (torch.arange(T) < lengths[:, None])[..., None]
    clean = draw(3, T, D, dtype=torch.float32) * valid
    results = []
    for padding in (0.0, 1e30, torch.nan):
        fresh = copy.deepcopy(module)
        x = torch.where(valid, clean, padding).requires_grad_()
        out, state = call(fresh, x, lengths=lengths)
        (out * draw(*out.shape, dtype=out.dtype, seed=4)).sum().backward()
        grads = [p.grad for p in fresh.parameters() if p.grad is not None]
        assert not torch.where(valid, 0, x.grad).any()
        results.append([out.detach(), x.grad, *leaves(state), *fresh.buffers(), *grads])
    zero, large, nan = results
    for got in (large, nan):
        for a, b in zip(got, zero, strict=True):
            assert b.isfinite().all()
            assert torch.equal(a, b)


@by_name
def test_strides_do_not_matter(case: Case) -> None:
    module = build(case, torch.float32, training=False)
    x = draw(3, T, D, dtype=torch.float32)
    expected, _ = call(module, x)
    time_first = x.transpose(0, 1).contiguous().transpose(0, 1)
    channels_first = x.transpose(1, 2).contiguous().transpose(1, 2)
    sliced = torch.stack([x, x + 1], -1).flatten(2)[..., ::2]
    for other in (time_first, channels_first, sliced):
        assert not other.is_contiguous()
        assert_close(call(module, other)[0], expected, case.element)


@by_name
def test_future_is_refused_where_it_was_read(case: Case) -> None:
    module = build(case, torch.float32, training=False)
    x = draw(2, T, D, dtype=torch.float32)
    if case.causal:
        before = call(module, x)[0]
        for shift in (1.0, torch.nan, torch.inf):
            later = x.clone()
            later[:, 20:] += shift
            assert torch.equal(call(module, later)[0][:, :20], before[:, :20])
        return
    with pytest.raises(ValueError, match="reads the future"):
        module.step(x[:, 0])
    with pytest.raises(ValueError, match="reads the future"):
        module(x, state=())


@causal_by_name
def test_steps_in_training_are_refused_under_batch_norm(case: Case) -> None:
    if not case.whole_sequences:
        pytest.skip("has no statistics over whole sequences")
    with pytest.raises(RuntimeError, match=r"eval\(\)"):
        build(case, torch.float32, training=True).step(draw(2, D, dtype=torch.float32))


@by_name
def test_autocast(case: Case) -> None:
    module = build(case, torch.float32, training=True)
    x = draw(2, T, D, dtype=torch.float32).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out, state = module(x)
    out.float().sum().backward()
    assert out.isfinite().all()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert all(leaf.dtype == torch.float32 for leaf in real_leaves(state))


@by_name
def test_half_precision_input_keeps_a_float32_state(case: Case) -> None:
    if any(True for _ in case.make(D).children()):
        pytest.skip("a block's Linear runs in its weights' dtype; see autocast")
    out, state = build(case, torch.float32, training=False)(draw(2, T, D, dtype=torch.bfloat16))
    assert out.dtype == torch.bfloat16
    assert all(leaf.dtype == torch.float32 for leaf in real_leaves(state))


@by_name
@pytest.mark.no_cover
def test_compile_fullgraph(case: Case) -> None:
    """One graph (two of images) for padded batches of ten lengths, with the gradient.

    The first case of each kind has its backward pass compiled too.
    """
    module = build(case, torch.float32, training=True)
    lengths = (T, 20, 5, 64, 7, 11, 100, 33, 50, 2)
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager" if case in FIRST else "eager")
    compiled = torch.compile(copy.deepcopy(module), fullgraph=True, backend=counter)
    for steps in lengths:
        x, again = (draw(3, steps, D, dtype=torch.float32).requires_grad_() for _ in range(2))
        options = {"lengths": torch.tensor([steps, 2, 1])}
        torch._dynamo.mark_dynamic(again, 1)
        fresh = copy.deepcopy(module)
        eager, out = call(fresh, x, **options)[0], call(compiled, again, **options)[0]
        assert_close(out, eager, case.element)
        if steps == T:
            grads = [torch.autograd.grad(o.sum(), z)[0] for o, z in ((eager, x), (out, again))]
            assert_close(grads[1], grads[0], case.element)
    assert counter.frame_count <= case.graphs


@by_name
@pytest.mark.no_cover
def test_export(case: Case) -> None:
    module = build(case, torch.float32, training=False)
    x = draw(2, T, D, dtype=torch.float32)
    steps = {1: torch.export.Dim("T", min=2, max=case.longest)}
    program = torch.export.export(module, (x,), dynamic_shapes={"x": steps})
    for other in (T, 5, 150):
        x = draw(2, other, D, dtype=torch.float32)
        assert_close(call(program.module(), x)[0], call(module, x)[0], case.element)


class Outputs(nn.Module):
    """A module without its state, whose types torch.jit does not know."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x)[0]  # type: ignore[no-any-return]


@by_name
@pytest.mark.no_cover
@pytest.mark.filterwarnings("ignore")  # torch deprecates its tracer, and warns of each check
def test_jit_trace_runs_on_other_lengths(case: Case) -> None:
    module = build(case, torch.float32, training=False)
    x = draw(2, T, D, dtype=torch.float32)
    traced = torch.jit.trace(Outputs(module), (x,), check_trace=False)
    for other in (T, 5, 50):
        x = draw(2, other, D, dtype=torch.float32, seed=7)
        assert_close(call(traced, x), call(module, x)[0], case.element)


@by_name
def test_copies_are_the_same_module(case: Case) -> None:
    module = build(case, torch.float32, training=False)
    x = draw(2, T, D, dtype=torch.float32)
    expected = call(module, x)[0]
    other = case.make(D).eval()
    other.load_state_dict(module.state_dict())
    pickled = pickle.loads(pickle.dumps(module))
    torch.manual_seed(3)
    called = torch.func.functional_call(module, dict(module.state_dict()), (x,))[0]
    copies = (other, copy.deepcopy(module), pickled)
    for got in (called, *(call(same, x)[0] for same in copies)):
        assert torch.equal(got, expected)


@by_name
def test_replicas_share_nothing_hidden(case: Case) -> None:
    """As DataParallel runs them: copies in threads at once, each on its own rows."""
    if case.random:
        pytest.skip("threads that share a generator draw in no fixed order")
    module = build(case, torch.float32, training=False)
    x = draw(4, T, D, dtype=torch.float32)
    expected = module(x)[0]
    replicas = [copy.deepcopy(module) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        outputs = list(pool.map(lambda replica, rows: replica(rows)[0], replicas, x.split(2)))
    assert_close(torch.cat(outputs), expected, case.element)


@by_name
def test_no_state_is_kept(case: Case) -> None:
    module = build(case, torch.float32, training=False)
    x = draw(2, T, D, dtype=torch.float32)
    before = {k: v.clone() for k, v in module.state_dict().items()}
    first, _ = call(module, x)
    module(draw(5, 11, D, dtype=torch.float32, seed=8))
    assert torch.equal(call(module, x)[0], first)
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())
