"""What a backbone is and costs: `python -m src.bench backbones`.

One row a yaml of `conf/backbone`: parameters, length of the feature, and of one clip as its weights were trained on
the operations of encoding it, the bytes that autograd keeps of it for a training step, and with `--rounds` the time of
encoding it on this machine. All but the time is counted on tensors without memory. A network whose library does not
load here is a row that says so.
"""

import argparse
import copy
import logging
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from rich.table import Table
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from swapaqa.bench.counting import count
from swapaqa.bench.step import with_progress
from swapaqa.bench.timing import describe
from swapaqa.console import open_console
from swapaqa.errors import InputError
from swapaqa.models.encoder import VideoEncoder
from swapaqa.running.assembly import assemble

YAMLS = Path(__file__).parents[1] / "conf" / "backbone"
WITHOUT_NETWORK = ("features",)
USUAL = (16, 224)  # frames and size of a clip that a yaml does not say
CLIPS = {  # and that weights were trained on, or the methods of its papers give it
    "c3d": (16, 112),
    "dilated_c3d": (16, 180),
    "r2plus1d_18": (16, 112),
    **dict.fromkeys(("resnet", "resnet50_frames", "timm_frames"), (1, 224)),
    **dict.fromkeys(("swin3d_t", "swin3d_s", "swin3d_b"), (32, 224)),
    "timesformer": (8, 224),
    "tiny": (16, 64),
    "vjepa2": (16, 256),
}
MIB = 2**20


class Cost(NamedTuple):
    """Of a network and one clip."""

    parameters: int
    feature_size: int
    frames: int
    size: int
    flop: int  # two for a multiplication with its addition
    saved: int  # bytes that autograd keeps
    seconds: float | None  # of encoding it; None where it was not measured


def add_backbones(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the subcommand."""
    backbones = commands.add_parser("backbones", help="parameters, operations, memory and time of every backbone")
    backbones.add_argument("--backbone", action="append", default=[], metavar="NAME", help="of these alone")
    backbones.add_argument("--rounds", type=int, default=0, help="also time the encoding of a clip, so often")
    backbones.set_defaults(run=bench_backbones, overrides=[])


def bench_backbones(given: argparse.Namespace) -> None:
    """Print the table."""
    names = given.backbone or known()
    unknown = set(names) - set(known())
    if unknown:
        raise InputError(f"--backbone {min(unknown)}: no such backbone; there are {', '.join(known())}")
    found: dict[str, Cost | str] = {}
    for name, _ in with_progress([(name, None) for name in names], "backbones"):
        try:
            found[name] = cost(name, given.overrides, given.rounds)
        except InputError as error:
            if given.backbone:
                raise
            found[name] = str(error)
    console = open_console()
    console.print(costs_table(found))
    if given.rounds:
        console.print(describe(torch.device("cpu")), soft_wrap=True, highlight=False)


def known() -> list[str]:
    """The backbones with a network, by name."""
    return sorted(path.stem for path in YAMLS.glob("*.yaml") if path.stem not in WITHOUT_NETWORK)


def cost(name: str, overrides: list[str], rounds: int = 0) -> Cost:
    """Of a backbone under overrides of `src.train`."""
    frames, size = CLIPS.get(name, USUAL)
    frozen = ["model=mlp", "schedule.freeze_bn=true", "aug=none"]  # BatchNorm, where there is any
    one_clip = ["data=demo", "clips=whole", f"clips.frames={frames}", f"clips.size={size}", f"data.frames={frames}"]
    with _quietly():
        encoder = assemble([f"backbone={name}", *frozen, *one_clip, *overrides]).model.encoder
    plan, network = encoder.plans[0], encoder.network
    shape = (1, plan.frames or frames, plan.size or size, plan.size or size, 3)
    clip = torch.zeros(shape).movedim(-1, 1)
    mode = FakeTensorMode()
    fake, unreal = copy.deepcopy(encoder)._apply(mode.from_tensor), mode.from_tensor(clip)  # type: ignore[no-untyped-call]
    there = [*fake.parameters(), *fake.buffers(), unreal]
    with mode:
        forward = count(lambda: encoded(fake.eval(), unreal), there, warm_up=False)
        training = count(lambda: _learn(fake.train(), unreal), there, warm_up=False)
    seconds = statistics.median(timed(encoder.eval(), clip) for _ in range(rounds)) if rounds else None
    return Cost(
        sum(parameter.numel() for parameter in network.parameters()),
        encoder.feature_size, shape[1], shape[2], forward.flop, training.saved, seconds,
    )  # fmt: skip


@contextmanager
def _quietly() -> Iterator[None]:
    """Random weights are what is wanted here."""
    ours = logging.getLogger("swapaqa")
    level = ours.level
    ours.setLevel(logging.ERROR)
    try:
        yield
    finally:
        ours.setLevel(level)


def encoded(encoder: VideoEncoder, clip: Tensor) -> Tensor:
    """(1, 3, t, h, w) -> (1, D), without a graph."""
    with torch.no_grad():
        return encoder.features(clip)


def timed(encoder: VideoEncoder, clip: Tensor) -> float:
    """Seconds of encoding a clip."""
    start = time.perf_counter()
    encoded(encoder, clip)
    return time.perf_counter() - start


def _learn(encoder: VideoEncoder, clip: Tensor) -> None:
    encoder.features(clip).sum().backward()
    encoder.zero_grad()


def costs_table(found: dict[str, Cost | str]) -> Table:
    """A row a backbone."""
    table = Table("backbone", title="encoding one clip")
    for column in ("parameters", "feature", "clip", "GFLOP", "kept MiB", "ms"):
        table.add_column(column, justify="right")
    for name, own in found.items():
        if isinstance(own, str):
            table.add_row(name, "does not load here", *["-"] * 5)
            continue
        milliseconds = "-" if own.seconds is None else f"{own.seconds * 1e3:.0f}"
        clip = f"{own.frames} x {own.size}"
        numbers = (f"{own.flop / 1e9:.1f}", f"{own.saved / MIB:.0f}", milliseconds)
        table.add_row(name, f"{own.parameters:,}", str(own.feature_size), clip, *numbers)
    reasons = "; ".join(sorted({own for own in found.values() if isinstance(own, str)}))
    table.caption = "kept: for the backward pass, of one clip" + (f". {reasons}" if reasons else "")
    return table
