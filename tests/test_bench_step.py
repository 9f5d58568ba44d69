"""The bench of a step: every quantity against one that is known, and the published form against ours."""

import argparse
import importlib
import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from swapaqa.bench import loop as loops
from swapaqa.bench import memory, step
from swapaqa.bench.counting import LiveTensors, SavedTensors, bytes_of, count, count_loop
from swapaqa.bench.loop import Clock, Loop, Variant, one_video_or_batch
from swapaqa.bench.operations import SHOWN, operations, operations_table
from swapaqa.bench.scratch import cache_of_its_own
from swapaqa.bench.synthetic import CachedVideos
from swapaqa.errors import InputError

REPOSITORY = Path(__file__).parents[1]
CONF = REPOSITORY / "conf"
CPU = torch.device("cpu")
SMALL = ("data.batch_size=2", *step.size_overrides(16, 32))
FLOAT = 4  # bytes


def open_loop(*words: str, published: bool = False, inference: bool = False) -> Loop:
    return Loop(Variant("variant", (*SMALL, *words), published), inference)


# counting


def test_operations_of_a_convolution() -> None:
    conv = nn.Conv3d(2, 5, kernel_size=3, padding=1, bias=False)
    video = torch.rand(1, 2, 4, 6, 8)
    forward = 2 * (4 * 6 * 8 * 5) * (2 * 27)
    assert count(lambda: conv(video), [*conv.parameters(), video], warm_up=False).flop == forward
    both = count(lambda: conv(video).sum().backward(), [*conv.parameters(), video], warm_up=True)
    assert both.flop == 2 * forward  # no gradient to the video


def test_what_autograd_keeps_counts_once_and_parameters_not_at_all() -> None:
    weight, x = torch.rand(50, requires_grad=True), torch.rand(50, requires_grad=True)
    saved = SavedTensors([weight])
    with saved_tensors_hooks(saved.pack, lambda kept: kept.tensor):
        y = (x.exp()[None].sin() * weight).sum()  # keeps exp(x) twice, for both, cos needs it, sin(exp(x)), weight
        assert saved.now == 2 * 50 * FLOAT
        y.backward()
    assert saved.now == 0
    assert saved.peak == 2 * 50 * FLOAT


def test_what_is_kept_one_after_the_other_is_not_added_up() -> None:
    def call() -> None:
        for _ in range(3):
            torch.rand(100, requires_grad=True).exp().sum().backward()

    assert count(call, [], warm_up=False).saved == 100 * FLOAT


def test_what_lives_at_once() -> None:
    there = torch.ones(1000)

    def call() -> torch.Tensor:
        first = there + 1
        second = first.view(10, 100) * 2
        del first
        return second.view(-1) * 3

    live = LiveTensors([there])
    with live:
        result = call()
        assert live.now == 1000 * FLOAT
        assert live.peak == 2 * 1000 * FLOAT
        there.mul_(2)  # was there before
        del result
    assert live.now == 0


@pytest.mark.slow
def test_recomputed_groups_live_one_at_a_time() -> None:
    """Counted: a step of four clips at once, and of one at a time; what recomputation saves is most of the clips."""
    words = ("data.batch_size=1", *step.size_overrides(36, 32))
    whole, parts = (open_loop(*words, *more) for more in ((), ("backbone.clips_per_pass=1",)))
    counts = [count_loop(loop, one_video_or_batch(loop)) for loop in (whole, parts)]
    assert counts[1].live < counts[0].live - 0.5 * counts[0].saved
    assert counts[1].flop > 1.2 * counts[0].flop


def test_bytes_of_different_storages() -> None:
    x = torch.ones(10)
    assert bytes_of([x, x[:5], torch.ones(3)]) == 13 * FLOAT


def test_counts_of_an_encoding_are_those_of_its_convolutions() -> None:
    loop = open_loop(inference=True)
    counts = count_loop(loop, one_video_or_batch(loop))
    channels, frames, side, expected = (3, 16, 32, 64, 64), (16, 8, 4, 4), (16, 8, 4, 2), 0
    for level in range(4):
        outputs = channels[level + 1] * frames[level] * side[level] ** 2
        expected += 2 * outputs * channels[level] * 27
    assert counts.flop == expected
    assert counts.saved == 0
    assert loop.model.encoder.network.layers[0][0].weight.device == CPU  # the copy alone has no memory


@pytest.mark.slow
def test_a_step_needs_its_weights_four_times() -> None:
    """And keeps the same whether it is counted without memory or on real tensors."""
    loop = open_loop()
    batch = one_video_or_batch(loop)
    counts = count_loop(loop, batch)
    weights = bytes_of(loop.model.parameters())
    assert counts.live > 4 * weights + counts.saved
    saved = SavedTensors(loop.model.parameters())
    with saved_tensors_hooks(saved.pack, lambda kept: kept.tensor):
        loop.work(loop.prepare(batch))
    assert counts.saved == pytest.approx(saved.peak, rel=0.01)


# the published form


@pytest.fixture(scope="module")
def both_forms() -> tuple[Loop, Loop]:
    """I3D in float64 on two clips a video, with BatchNorm statistics as training leaves them: ours, published."""
    words = ("data=mtl_aqa", "data.batch_size=1", *step.size_overrides(20, 32), "clips.stride=4")
    ours, published = (Loop(Variant("variant", words, form), inference=False) for form in (False, True))
    generator = torch.Generator().manual_seed(1)
    for loop in (ours, published):
        loop.model.double()
    for name, tensor in ours.model.encoder.network.state_dict().items():
        if "batch3d" in name and tensor.is_floating_point():
            tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype))
    published.model.load_state_dict(ours.model.state_dict())
    return ours, published


@pytest.mark.slow
def test_the_published_form_has_our_loss_and_our_gradients(both_forms) -> None:
    """And as many operations, but more activations are kept for the backward pass."""
    (ours, grads, flop, saved), (theirs, their_grads, their_flop, their_saved) = map(backward, both_forms)
    torch.testing.assert_close(theirs, ours, rtol=1e-10, atol=0)
    assert grads.keys() == their_grads.keys()
    largest = max(float(grad.abs().max()) for grad in grads.values())
    for name, grad in grads.items():
        torch.testing.assert_close(their_grads[name], grad, rtol=1e-8, atol=1e-12 * largest, msg=name)
    assert their_flop == flop
    kernels = bytes_of(p for p in both_forms[0].model.encoder.parameters() if p.dim() == 5)
    assert their_saved > 1.2 * (saved - kernels)  # ours keeps them with BatchNorm folded in, whatever the videos' size


def backward(loop: Loop) -> tuple[torch.Tensor, dict[str, torch.Tensor], int, int]:
    """Loss, gradients by name, operations and kept bytes of one batch."""
    batch, saved = loop.prepare(one_video_or_batch(loop)), SavedTensors(loop.model.parameters())
    with FlopCounterMode(display=False) as flop, saved_tensors_hooks(saved.pack, lambda kept: kept.tensor):
        loss = loop.loss(batch)
        loss.backward()
    grads = {name: parameter.grad for name, parameter in loop.model.named_parameters()}
    return loss, grads, flop.get_total_flops(), saved.peak


def test_the_published_optimiser_is_plain_adam_at_our_rates() -> None:
    ours, published = open_loop(), open_loop(published=True)
    assert type(published.optimiser) is torch.optim.Adam
    assert not published.optimiser.defaults["fused"]
    assert [g["lr"] for g in published.optimiser.param_groups] == [g["lr"] for g in ours.optimiser.param_groups]


def test_the_published_form_is_float32_whatever_is_said() -> None:
    published = open_loop("trainer.precision=bf16-mixed", published=True)
    with published.precision.forward_context():
        assert not torch.is_autocast_enabled("cpu")


# parts


def test_a_clock_gives_every_moment_to_one_part(monkeypatch) -> None:
    ticks = iter([0.0, 1.0, 3.0, 7.0, 15.0, 31.0])
    monkeypatch.setattr(loops.time, "perf_counter", lambda: next(ticks))
    clock = Clock(CPU)
    clock.switch("a")  # 0
    clock.switch("b")  # 1
    with clock.hold("c"):  # 3
        clock.switch("a")  # held
    clock.switch("a")  # 7
    clock.switch(None)  # 15
    clock.switch("b")  # 31, without an end
    assert clock.take() == {"a": 1.0 + 8.0, "b": 2.0, "c": 4.0}
    assert clock.take() == {}


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("published", [False, True])
def test_parts_add_up_to_the_step(monkeypatch, published: bool, inference: bool) -> None:
    loop = open_loop(published=published, inference=inference)
    loop.watch()
    whole = {}

    def spanned(clock: Clock) -> dict[str, float]:
        whole["seconds"] = clock.stamps[-1][1] - clock.stamps[0][1]
        return take(clock)

    take = Clock.take
    monkeypatch.setattr(Clock, "take", spanned)
    with cache_of_its_own() as room:
        parts = step.take_turn(loop, CachedVideos(one_video_or_batch(loop), loop.data.source, room))
    assert set(parts) == set(loop.parts)
    assert step.duration(parts) == pytest.approx(whole["seconds"])


def test_a_forward_pass_within_the_backward_one_belongs_to_it() -> None:
    loop = open_loop()
    network = loop.model.encoder.network
    again = network.layers[0].forward
    network.layers[0].forward = lambda x: checkpoint(again, x, use_reentrant=False)
    loop.watch()
    seen = []
    loop.clock.switch = lambda part: seen.append((part, loop.clock.held))
    network.register_forward_pre_hook(lambda *_: seen.append(("forward", loop.clock.held)))
    loop.run(one_video_or_batch(loop))
    assert [part for part, _ in seen].count("forward") == 1
    assert seen[-2:] == [(loops.OPTIMISER, False), (None, False)]


def test_loading_reads_the_bytes_of_the_files() -> None:
    loop = open_loop()
    with cache_of_its_own() as room:
        videos = CachedVideos(one_video_or_batch(loop), loop.data.source, room)
        files = sorted((room / "cache" / "frames").glob("*.npy"))
        loaded = videos.load()
    assert len(files) == 4  # two pairs
    assert loaded.query.video.shape == videos.batch.query.video.shape == (2, 16, 32, 32, 3)
    assert not torch.equal(loaded.query.video, videos.batch.query.video)
    assert not torch.equal(loaded.query.video[0], loaded.exemplar.video[0])


def test_a_step_changes_the_weights() -> None:
    loop = open_loop()
    before = [parameter.clone() for parameter in loop.model.parameters()]
    loop.run(one_video_or_batch(loop))
    assert all(not torch.equal(old, new) for old, new in zip(before, loop.model.parameters(), strict=True))


# memory


@pytest.mark.skipif(not memory.CLEAR.exists(), reason="the kernel's high-water mark is Linux's")
def test_peak_of_a_known_allocation() -> None:
    class Known:
        def run(self, batch: int) -> None:
            with mmap.mmap(-1, batch) as fresh:  # what malloc gives may be resident, of tests before
                for page in range(0, batch, mmap.PAGESIZE):
                    fresh[page] = 1

    nbytes = 200 * 2**20
    measured = memory.resident_peak(Known(), nbytes)
    assert nbytes <= measured + 2**20
    assert measured < nbytes + 30 * 2**20


def test_a_cap_is_counted_where_there_is_no_device() -> None:
    loop = open_loop("trainer.accelerator=cpu")
    table = step.cap_table({"variant": loop}, argparse.Namespace(conf=CONF, inference=False, cap=1e-6))
    assert table.columns[1].header == "needed GiB, counted"
    assert list(table.columns[2].cells) == ["more is counted"]
    assert float(next(iter(table.columns[1].cells))) >= 4 * bytes_of(loop.model.parameters()) / 2**30 - 0.005


# tables


def test_ratios_are_those_of_the_rounds() -> None:
    counts = step.Counts(2 * 10**12, 3 * 2**30, 4 * 2**30)
    own = step.Measured(counts, step.Peak(2**30), [{"load": 9.0, "backward": t} for t in (1.0, 2.0, 4.0)])
    theirs = step.Measured(counts, step.Peak(2**32), [{"load": 9.0, "backward": t} for t in (3.0, 4.0, 20.0)])
    table = step.variants_table({step.CONFIGURATION: own, step.PUBLISHED: theirs}, "cpu")
    row = [next(iter(column.cells)) for column in table.columns]
    assert row == [step.CONFIGURATION, "2", "3.000", "4.000", "1.000 (25.0%)", "2000.00", "3.00"]


@pytest.mark.slow
def test_every_row_is_printed() -> None:
    """With all that is measured: every variant's peak in a process of its own."""
    words = ["data.batch_size=2", "--also", "backbone.nonsense=1"]
    options = ["--frames", "16", "--size", "32", "--rounds", "1", "--warm-ups", "0"]
    run = subprocess.run(
        [sys.executable, "-m", "src.bench", "step", *words, *options],
        cwd=REPOSITORY,
        env=os.environ | {"COLUMNS": "120", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=290,
    )
    assert run.returncode == 0, run.stderr
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in run.stdout.splitlines() if line[:1] == "│"]
    parts = [row[1].removesuffix(" (beside)") for row in rows if len(row) == 4]
    assert parts == [*loops.STEP_PARTS, "step"] * 2
    assert [row[0] for row in rows if len(row) == 7] == ["configuration", "published form"]
    assert all(float(cell.split()[0]) > 0 for row in rows if len(row) == 7 for cell in row[1:])
    assert "backbone.nonsense=1: not measured: backbone.nonsense: no such key" in run.stdout
    assert "(4, 3, 16, 32, 32)" in run.stdout


def test_the_command_without_rounds_counts(monkeypatch, capsys) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY))  # recipes are run from there, not installed
    words = ["step", "--inference", "--rounds", "0", "--frames", "16", "--size", "32", "aug=none"]
    monkeypatch.setattr(sys, "argv", ["bench", *words])
    monkeypatch.setattr(step, "console", Console(width=120))
    importlib.import_module("swapaqa.programs.bench").main()
    shown = capsys.readouterr().out
    assert "encoding of one video: aug=none; (B, C, T, H, W) = (1, 3, 16, 32, 32)" in shown
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.splitlines() if line[:1] == "│"]
    assert [row[0] for row in rows] == ["configuration", "published form"]
    assert all(row[2:] == ["0.000", row[3], "-", "-", "-"] and float(row[1]) > 0 for row in rows)


def test_operations_are_those_of_the_step() -> None:
    """Each convolution runs once backward in a step; the shares are of a whole."""
    loop = open_loop()
    modules = [module for module in loop.model.modules() if isinstance(module, nn.Conv3d)]
    found = operations(loop)
    assert found["aten::convolution_backward"][0] == len(modules) > 3
    shares = [str(cell) for cell in list(operations_table({"one": loop}).columns)[4].cells]
    assert len(shares) == SHOWN + 1
    assert sum(float(share.rstrip("%")) for share in shares) == pytest.approx(100, abs=1)


def test_a_word_that_nothing_understands(monkeypatch, capsys) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY))
    for words in (["step", "nonsense"], ["augment", "aug=none"], ["step", "--nonsense=1"]):
        monkeypatch.setattr(sys, "argv", ["bench", *words])
        with pytest.raises(SystemExit):
            importlib.import_module("swapaqa.programs.bench").main()
        assert f"{words[1]}: not understood here" in capsys.readouterr().err


def test_a_configuration_that_is_wrong_is_an_error() -> None:
    with pytest.raises(InputError, match=r"model\.voterss"):
        open_loop("model.voterss=3")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_cuda_device() -> None:
    loop = open_loop("trainer.precision=bf16-mixed")
    loop.watch()
    with cache_of_its_own() as room:
        parts = step.take_turn(loop, CachedVideos(one_video_or_batch(loop), loop.data.source, room))
    assert set(parts) == set(loop.parts)
    assert all(seconds >= 0 for seconds in parts.values())
    assert memory.peak_memory(loop.variant, inference=False, cap=0.001).fits is False
    assert memory.peak_memory(loop.variant, inference=False, cap=8.0).fits
