"""The cost of evaluating a split: `python -m src.bench evaluation`.

CoRe's published evaluation encodes a video and its exemplar anew for every exemplar that votes on it. A feature in
evaluation does not depend on what else is encoded, so encoding every video once gives the same predictions. Counted
from the data set's lists and the exemplars drawn for them; no video is needed.
"""

import argparse
from collections.abc import Sequence
from typing import NamedTuple

from rich.table import Table

from swapaqa.bench.counting import count_loop
from swapaqa.bench.loop import Loop, Variant, one_video_or_batch
from swapaqa.bench.step import CONFIGURATION, PUBLISHED, duration, time_variants
from swapaqa.bench.timing import describe, median_ratio
from swapaqa.console import open_console
from swapaqa.data.datamodule import VideoData
from swapaqa.errors import InputError


class Encodings(NamedTuple):
    """Videos that pass the backbone in one evaluation of a split, by how it is done."""

    published: int  # the video and its exemplar, for every vote
    video_once: int  # the exemplars for every vote
    first_use: int  # every exemplar that is drawn for any video, once
    ours: int  # every training video once
    stored: int  # features of the training videos are in the checkpoint (model.store_exemplars=true)


PUBLISHED_ROW = "published: video and exemplar anew for every vote"
ROWS = (
    PUBLISHED_ROW,
    "every video once, exemplars for every vote",
    "exemplars once, those that vote",
    "ours: every training and test video once",
    "ours with model.store_exemplars=true",
)


def add_evaluation(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the subcommand."""
    evaluation = commands.add_parser("evaluation", help="encodings that a test pass needs, published and ours")
    evaluation.add_argument("--split", default="test")
    evaluation.add_argument("--rounds", type=int, default=0, help="also time the encoding of one video, so often")
    evaluation.add_argument("--warm-ups", type=int, default=1, help="rounds before, which are not counted")
    evaluation.set_defaults(run=bench_evaluation, overrides=[])


def bench_evaluation(given: argparse.Namespace) -> None:
    """Print encodings, operations and, with rounds, the ratio of time that both together give."""
    overrides = tuple(given.overrides)
    ours = Loop(Variant(CONFIGURATION, overrides), inference=True)
    encodings, votes = count_encodings(ours.data, given.split)
    flop = count_loop(ours, one_video_or_batch(ours)).flop
    faster = inference_ratio(ours, overrides, given) if given.rounds else None
    console = open_console()
    console.print(f"evaluation of {given.split}: {' '.join(overrides)}; {votes} votes, {flop / 1e12:.4g} TFLOP a video")
    if faster is not None:
        console.print(
            f"encoding one video: {faster:.2f} times as fast as the published form, {given.rounds} rounds\n"
            f"{describe(ours.device)}",
            soft_wrap=True,
        )
    console.print(encodings_table(encodings, flop, faster))


def count_encodings(data: VideoData, split: str) -> tuple[Encodings, int]:
    """From the data set's lists, and the number of votes.

    Raises:
        InputError: the method does not vote, or the lists are not there.
    """
    if not data.voters:
        raise InputError("this method scores without exemplars: every evaluation encodes every video once")
    train, tested = data.source.read_split("train"), data.source.read_split(split)
    bank = data.source.exemplar_bank(train, data.seed)
    most = len(train) if data.voters == "all" else data.voters
    drawn: Sequence[list[int]] = [bank.voters(record, most) for record in tested]
    votes = sum(map(len, drawn))
    once = len(tested) + len(set().union(*drawn))
    counted = Encodings(2 * votes, len(tested) + votes, once, len(tested) + len(train), len(tested))
    return counted, votes


def inference_ratio(ours: Loop, overrides: tuple[str, ...], given: argparse.Namespace) -> float:
    """How many times faster than the published form the encoding of one video is, on this machine."""
    loops = {CONFIGURATION: ours, PUBLISHED: Loop(Variant(PUBLISHED, overrides, published=True), inference=True)}
    times = time_variants(loops, given.rounds, given.warm_ups)
    seconds = {name: [duration(parts) for parts in found] for name, found in times.items()}
    return median_ratio(seconds[PUBLISHED], seconds[CONFIGURATION])


def encodings_table(encodings: Encodings, flop: int, faster: float | None) -> Table:
    """One way of evaluating a row. `flop`: of one video; `faster`: measured, None where it was not."""
    table = Table("evaluation")
    for column in ("encodings", "TFLOP", "published / this"):
        table.add_column(column, justify="right")
    if faster is not None:
        table.add_column("time, published / this", justify="right")
        table.caption = "time: the ratio of encodings times the measured ratio of one encoding, not a whole pass"
    for name, count in zip(ROWS, encodings, strict=True):
        fewer = encodings.published / count
        time = [] if faster is None else [f"{fewer * (1.0 if name == PUBLISHED_ROW else faster):.2f}"]
        table.add_row(name, str(count), f"{count * flop / 1e12:.0f}", f"{fewer:.2f}", *time)
    return table
