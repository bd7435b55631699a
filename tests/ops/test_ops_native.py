"""The compiled library: CPU levels, threads, processes, memory, and life without it."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import shutil
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, pairwise
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import torch
from native_digest import alike, digest, every_kernel
from ops_support import Tensors, check_against_reference, flat, gradients, leaf, normal
from ops_support import run_lif as run_lif_op
from torch import Tensor

import spikescan
from spikescan.ops import lif, linear_scan, resonate
from spikescan.ops._core.cpu import BUILT, available_levels, call, level
from spikescan.ops._core.cpu.library import library
from spikescan.ops.surrogate import ATan

pytestmark = pytest.mark.skipif(not BUILT, reason="needs the compiled kernels")
HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def restore_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    own = os.environ.get("PYTHONPATH", "")
    path = [environment.pop("PYTHONPATH", ""), str(HERE), str(HERE.parent), own]
    return subprocess.Popen(
        [sys.executable, *arguments],
        env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(filter(None, path))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    try:
        out, errors = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    return out


def test_every_level_gives_the_same_bits() -> None:
    others = [name for name in available_levels() if name != level()]
    digest_of = str(HERE / "native_digest.py")
    started = [start(digest_of, SPIKESCAN_CPU_LEVEL=name) for name in others]
    torch.set_num_threads(1)
    here = [digest(alike(every_kernel(dtype))) for dtype in (torch.float32, torch.float64)]
    assert here[0] != here[1]
    for name, process in zip(others, started, strict=True):
        assert finish(process).split() == [name, *here]


def test_an_unknown_level_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # The level is chosen once, so the choice is asked for past its cache.
    monkeypatch.setenv("SPIKESCAN_CPU_LEVEL", "quantum")
    with pytest.raises(RuntimeError, match="SPIKESCAN_CPU_LEVEL is 'quantum'; expected") as raised:
        level.__wrapped__()
    assert all(name in str(raised.value) for name in available_levels())
    monkeypatch.delenv("SPIKESCAN_CPU_LEVEL")
    assert level.__wrapped__() == available_levels()[-1]


@pytest.fixture(scope="module")
def without_library(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A copy of the package as it is where nothing could be compiled."""
    folder = tmp_path_factory.mktemp("pure")
    shutil.copytree(
        Path(spikescan.__file__).parent,
        folder / "spikescan",
        ignore=shutil.ignore_patterns("lib", "__pycache__"),
    )
    return str(folder)


def test_without_the_library_everything_works_slowly(without_library: str) -> None:
    code = """
import warnings
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    import spikescan
    from spikescan.ops import lif, linear_scan, resonate, spike
    import torch
    x = torch.full((1, 5, 3), 0.6, requires_grad=True)
    one = torch.ones(3)
    out = lif(x, 0.5)
    assert out.spikes[0, :, 0].tolist() == [0, 0, 1, 0, 0]
    sum(o.sum() for o in (out.spikes, resonate(x, one, one).spikes, linear_scan(one, x).h,
                          spike(x))).backward()
    assert x.grad.all()
ours = [w for w in seen if issubclass(w.category, spikescan.NativeMissingWarning)]
assert len(ours) == 1, seen
print(ours[0].message)
assert spikescan.ops._core.cpu.available_levels() == () and spikescan.ops._core.cpu.level() is None
for call in (lambda: lif(x, 0.5, impl="cpu"), lambda: resonate(x, one, one, impl="cpu"),
             lambda: linear_scan(one, x, impl="cpu"), lambda: spike(x, impl="cpu")):
    try:
        call()
    except RuntimeError as error:
        print(error)
"""
    out = finish(start("-c", code, PYTHONPATH=without_library))
    warning, *errors = out.splitlines()
    assert "Until then everything runs through pure torch" in warning
    assert len(errors) == 4
    for message in (warning, *errors):
        assert without_library in message
        assert "pip install --force-reinstall" in message


def large(seed: int = 0, steps: int = 300) -> Tensors:
    """Enough elements for two threads."""
    return {
        "x": normal(5, steps, 130, seed=seed, scale=0.6, shift=0.2),
        "beta": torch.full((130,), 0.95),
        "v0": normal(5, 130, seed=seed + 1),
    }


def run_lif(tensors: Tensors) -> tuple[Tensors, Tensors]:
    leaves = leaf(tensors, tensors)
    outputs = flat(run_lif_op(leaves, reset="soft", detach_reset=False, impl="cpu"))
    return outputs, gradients(outputs, leaves)


def same(one: tuple[Tensors, Tensors], two: tuple[Tensors, Tensors]) -> bool:
    return all(torch.equal(a[name], b[name]) for a, b in zip(one, two, strict=True) for name in a)


def test_threads_change_nothing() -> None:
    torch.set_num_threads(1)
    expected = run_lif(large())
    steps, surrogates = 1000, (ATan(),)  # enough elements for two threads here as well
    results = [every_kernel(torch.float32, steps, surrogates=surrogates)]
    for count in (2, 3, 64):
        torch.set_num_threads(count)
        assert same(run_lif(large()), expected)
    torch.set_num_threads(2)
    results.append(every_kernel(torch.float32, steps, surrogates=surrogates))
    assert digest(results[0]) == digest(results[1])


def test_no_task_is_lost_or_shared_between_threads() -> None:
    # A row is a task: so many short ones make the threads meet at the queue all the time.
    torch.set_num_threads(4)
    x = normal(150_000, 1, 2, seed=0, shift=1)
    for _ in range(5):
        out = lif(x, 0.5, impl="cpu")
        assert torch.equal(out.spikes, (x >= 1).float())
        assert torch.equal(out.state.v, (x - (x >= 1).float())[:, 0])


def test_kernels_follow_the_number_of_threads_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    used = []
    function = call._function

    def spy(kernel: str, dtype: torch.dtype) -> tuple[Callable[[bytes], None], call.Layout]:
        run, layout = function(kernel, dtype)

        def watched(packed: bytes) -> None:
            at = 8 * layout.places["threads"].word
            used.extend(struct.unpack_from("q", packed, at))
            run(packed)

        return watched, layout

    monkeypatch.setattr(call, "_function", spy)
    small, big = torch.ones(1, 9, 3), torch.ones(4, 1024, 64)
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        used.clear()
        for x in (small, big):
            one = torch.ones(x.shape[2], requires_grad=True)
            total = lif(x, one).spikes.sum() + linear_scan(one, x).state.h.sum()
            (total + resonate(x, one, one).spikes.sum()).backward()
        # Small problems stay on one thread; three ops, each forward and back.
        assert used == [1] * 6 + [count] * 6


@pytest.mark.skipif(sys.platform != "linux", reason="fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_kernels_run_after_a_fork() -> None:
    torch.set_num_threads(2)
    tensors = large()
    expected = run_lif(tensors)[0]["spikes"].detach().numpy().tobytes()

    def child(connection: Connection) -> None:
        # No threaded torch operation here: its own pool does not outlive a fork, ours must.
        out = run_lif_op(tensors, impl="cpu")
        connection.send_bytes(out.spikes.numpy().tobytes())

    context = multiprocessing.get_context("fork")
    for _ in range(3):
        here, there = context.Pipe()
        process = context.Process(target=child, args=(there,))
        process.start()
        try:
            assert here.poll(60), "the child hangs"
            assert here.recv_bytes() == expected
            process.join(60)
            assert process.exitcode == 0
        finally:
            process.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="fork")
def test_first_kernel_after_a_fork() -> None:
    """The child loads the library itself, and must not take the threads that its parent had."""
    code = """
import os, signal, time
import torch
from spikescan.ops import lif
torch.set_num_threads(2)
x = torch.ones(4, 1024, 64)
assert (x * 2).sum() == 2 * x.numel()
child = os.fork()
if child == 0:
    torch.set_num_threads(2)
    spikes = lif(x, 0.5, impl="cpu").spikes
    os._exit(0 if spikes.numpy().all() else 1)
end = time.monotonic() + 60
while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
    if time.monotonic() > end:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise SystemExit("the child hangs")
    time.sleep(0.01)
raise SystemExit(os.waitstatus_to_exitcode(ended[1]))
"""
    # OMP_NUM_THREADS would bound the threads that the parent starts.
    finish(start("-W", "ignore::DeprecationWarning", "-c", code, OMP_NUM_THREADS="2"))


def test_concurrent_python_threads_get_their_own_results() -> None:
    torch.set_num_threads(2)
    seeds = range(8)
    expected = [run_lif(large(seed)) for seed in seeds]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda seed: run_lif(large(seed)), [*seeds, *seeds]))
    for i, result in enumerate(results):
        assert same(result, expected[i % len(seeds)])


def test_the_interpreter_runs_on_during_a_kernel() -> None:
    x = torch.zeros(1, 12_000_000, 1)  # one lane: a long time in a small memory
    times = {}

    def work() -> None:
        times["start"] = time.perf_counter()
        lif(x, 0.9, impl="cpu")
        times["end"] = time.perf_counter()

    thread = threading.Thread(target=work)
    ticks = []
    thread.start()
    while thread.is_alive():
        ticks.append(time.perf_counter())
        time.sleep(0.0005)
    during = [t for t in ticks if times["start"] < t < times["end"]]
    length = times["end"] - times["start"]
    gaps = [b - a for a, b in pairwise(ticks)]
    assert length > 0.02
    assert len(during) >= 5
    # A held lock would stop the ticks for nearly the whole of the call.
    assert max(gaps) < length / 2


def test_outputs_are_written_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [every_kernel(dtype, 70, 67) for dtype in (torch.float32, torch.float64)]
    fresh = call.fresh
    poisoned = []

    def poison(*arguments: object) -> Tensor:
        out = fresh(*arguments)
        out.fill_(torch.nan if out.is_floating_point() or out.is_complex() else 0x55)
        poisoned.append(out.shape)
        return out

    monkeypatch.setattr(call, "fresh", poison)
    results = [every_kernel(dtype, 70, 67) for dtype in (torch.float32, torch.float64)]
    assert len(poisoned) > 100
    for group in chain.from_iterable(r.values() for r in results):
        for value in group.values():
            assert not value.isnan().any()
    assert [digest(r) for r in results] == [digest(r) for r in expected]


def threads(impl: str) -> None:
    """Two for the kernel; the loop in torch would only wait for the second."""
    torch.set_num_threads(2 if impl == "cpu" else 1)


@pytest.mark.parametrize("channels", [8192, 8208, 8200], ids=["blocks", "rest", "unaligned"])
def test_large_outputs(channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large outputs ask for large pages, and go around the cache where rows are aligned."""
    advised = []
    advise = library().spikescan_advise_huge

    class Spy:
        def spikescan_advise_huge(self, address: ctypes.c_void_p, size: ctypes.c_int64) -> None:
            advised.append(size.value)
            advise(address, size)

        def __getattr__(self, name: str) -> Callable[..., None]:
            return getattr(library(), name)

    monkeypatch.setattr(call, "library", Spy)
    tensors = {
        "x": normal(64, 8, channels, seed=0, scale=0.6, shift=0.3),
        "beta": torch.full((channels,), 0.9),
    }
    lengths = torch.arange(64) % 9
    assert tensors["x"].nbytes >= 16 << 20

    def run(t: Tensors, impl: str) -> Tensors:
        threads(impl)
        out = lif(t["x"], t["beta"], return_membrane=True, lengths=lengths, impl=impl)
        assert out.membrane is not None
        return {"spikes": out.spikes, "membrane": out.membrane}

    check_against_reference(run, tensors, summed=["beta"])
    assert advised == [tensors["x"].nbytes] * 3  # spikes, membrane, gradient


def test_large_outputs_of_the_other_kernels() -> None:
    channels = 8208
    x = normal(32, 8, channels, seed=0, dtype=torch.float64)
    delta = torch.full((channels,), 0.3)
    assert x.nbytes >= 16 << 20

    def ring(t: Tensors, impl: str) -> Tensors:
        threads(impl)
        out = resonate(t["x"], delta, delta, return_membrane=True, impl=impl)
        assert out.membrane is not None
        return {"spikes": out.spikes, "membrane": out.membrane}

    def scan(t: Tensors, impl: str) -> Tensors:
        threads(impl)
        return {"h": linear_scan(t["a"], t["b"], impl=impl).h}

    check_against_reference(ring, {"x": x})
    check_against_reference(scan, {"a": x.sigmoid(), "b": x})
