"""How costs grow with the number of videos: `python -m src.bench growth`.

A data set of made-up records, whose videos all are a few small files, so that what is timed is the bookkeeping: lists,
set-up, groups, exemplars, fingerprint, evaluation, metrics, intervals, files, report, the drawing page's list. Half
of the videos are for training. The power is that of N with which the time grew from the second largest size to the
largest: 1 is linear.
"""

import argparse
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from rich.table import Table

from swapaqa.annotate.desk import Desk
from swapaqa.annotate.follow import Settings
from swapaqa.augment.none import NoAugmentation
from swapaqa.bench.scratch import cache_of_its_own
from swapaqa.bench.timing import describe
from swapaqa.boxes.darklabel import DarkLabelBoxes
from swapaqa.console import open_console
from swapaqa.data.datamodule import VideoData
from swapaqa.data.demo_files import write_video
from swapaqa.data.geometry import Geometry
from swapaqa.data.records import Label, Record
from swapaqa.data.source import VideoSource
from swapaqa.doctor.examination import examine
from swapaqa.errors import InputError
from swapaqa.files.whole_file import write_whole
from swapaqa.metrics import SpearmanById
from swapaqa.models.score_groups import build_groups_of_videos
from swapaqa.pictures.figures import save_figure
from swapaqa.recording.evaluation import Evaluation
from swapaqa.recording.recorder import Recorder
from swapaqa.recording.result_file import save_result
from swapaqa.report.cases import Shown
from swapaqa.report.contents import read_report, write_report
from swapaqa.report.drawing import COLOURS, MARKERS, tidy

SIZES = (1_000, 10_000, 100_000)
FILES, FRAMES, SIDE = 8, 16, 32  # that all records share
DIFFICULTIES = np.arange(1.5, 4.1, 0.1).round(1)
VOTERS, DEPTH = 10, 5  # of CoRe
BATCH = 16
READ_FEWER = 10  # what opens every video is asked of a tenth of them

Timed = dict[str, Callable[[], object]]


@dataclass(kw_only=True, eq=False)
class Many(VideoSource):
    """As many records as one likes, half of them for training."""

    count: int

    @property
    def actions(self) -> list[str]:
        return ["diving"]

    @property
    def max_label(self) -> float:
        return 100.0

    def read_list(self, split: str) -> list[Record]:
        draw = np.random.default_rng(("train", "test").index(split))
        scores = draw.uniform(0, 100, self.count // 2).round(2).tolist()
        difficulties = draw.choice(DIFFICULTIES, self.count // 2).tolist()
        return [
            Record(f"{split}/{number:06d}", "diving", score, split, difficulty)
            for number, (score, difficulty) in enumerate(zip(scores, difficulties, strict=True))
        ]

    def media(self, record: Record) -> Path:
        return self.folder / f"{int(record.video_id[-6:]) % FILES}.avi"

    def box_files(self, record: Record) -> list[Path]:  # noqa: ARG002  shared
        return [self.folder / "boxes"]

    def score_label(self, record: Record) -> Label:
        return Label(record.score, 0.0, 1.0)


def add_growth(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the subcommand."""
    growth = commands.add_parser("growth", help="how the cost of bookkeeping grows with the number of videos")
    growth.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), metavar="N", help="three, ascending")
    growth.add_argument(
        "--figure", type=Path, metavar="FILE", help="draw the seconds over the sizes too, as PNG or PDF"
    )
    growth.set_defaults(run=bench_growth)


def bench_growth(given: argparse.Namespace) -> None:
    """Time every part at every size, and print seconds and the power with which they grew."""
    seconds: dict[str, list[float]] = {}
    sizes: list[int] = sorted(given.sizes)
    for size in sizes:
        with cache_of_its_own() as room:
            for name, part in parts_of(size, room).items():
                start = time.perf_counter()
                part()
                seconds.setdefault(name, []).append(time.perf_counter() - start)
    table = Table("seconds at", *(f"{size:,}" for size in sizes), "power", title=describe(torch.device("cpu")))
    for name, took in seconds.items():
        table.add_row(name, *(f"{one:.3g}" for one in took), f"{power(sizes, took):.2f}")
    open_console(soft_wrap=True).print(table)
    if given.figure:
        draw_growth(sizes, seconds, given.figure)


def draw_growth(sizes: Sequence[int], seconds: Mapping[str, Sequence[float]], path: Path) -> None:
    """Seconds over videos, both on logarithmic axes, beside what linear growth looks like."""
    figure = Figure(figsize=(8.5, 4.8), layout="constrained")
    panel = figure.subplots()
    for number, (name, took) in enumerate(seconds.items()):
        panel.plot(sizes, took, marker=MARKERS[number % 7], color=COLOURS[number % 7], label=name, linewidth=1.2,
                   linestyle="-" if number < 7 else "--", markersize=4.5)  # fmt: skip
    panel.plot(sizes, [1e-3 * size / sizes[0] for size in sizes], color="black", linestyle=":", label="linear")
    panel.set(xscale="log", yscale="log", xlabel="videos", ylabel="seconds")
    tidy(panel)
    figure.legend(loc="outside right upper", fontsize=7.5, frameon=False)
    save_figure(figure, path, dpi=130, facecolor="white")


def power(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """Of N, from the second largest size to the largest; NaN of one size."""
    if len(sizes) < 2:
        return math.nan
    return math.log(seconds[-1] / seconds[-2]) / math.log(sizes[-1] / sizes[-2])


def source_of(count: int, room: Path) -> Many:
    """The data set, whose files lie in `room`."""
    return Many(
        root=str(room),
        frames=FRAMES,
        geometry=Geometry(height=SIDE, width=SIDE, crop=SIDE, random_crop=False, flip=0.0),
        boxes=DarkLabelBoxes(ratio=2.0, root=None),  # type: ignore[arg-type]  # its values are read only
        target="score",
        exemplars="difficulty",
        count=count,
    )


def write_files(room: Path) -> None:
    """The videos and the box file that all records share."""
    draw = np.random.default_rng(0)
    for number in range(FILES):
        write_video(room / f"{number}.avi", draw.integers(0, 256, (FRAMES, SIDE, SIDE, 3), dtype=np.uint8))
    write_whole(room / "boxes.txt", f"0,0,4,4,9,9,diver\n{FRAMES - 1},0,20,20,9,9,diver\n")


def parts_of(count: int, room: Path) -> Timed:
    """What is timed, in an order in which each finds what it needs."""
    write_files(room)
    data = VideoData(
        source=source_of(count, room), augment=NoAugmentation(), voters=VOTERS, batch_size=BATCH, workers=0, seed=0,
        val_fraction=0.0, skip_unreadable=False,
    )  # fmt: skip
    tested = Tested(data, room / "run")
    return {
        "set-up: lists, files, exemplar groups": data.setup,
        "fingerprint of the data": data.fingerprint,
        "borders of the score groups": lambda: borders(data),
        "exemplars of an epoch": lambda: [data.bank and data.bank.draw(r, 0) for r in data.records()["train"]],
        "exemplars that vote": lambda: [data.bank and data.bank.voters(r, VOTERS) for r in data.records()["test"]],
        "predictions gathered by id, Spearman": tested.gather,
        "metrics and intervals": tested.measure,
        "result.json and predictions": tested.write,
        "report of the run": tested.report,
        "list of the drawing page": lambda: Desk(data.source, Settings("kcf", [], 0.4, 0.5), {}).overview(),
        "doctor, of a tenth of the videos": lambda: examine(source_of(count // READ_FEWER, room), 0),
    }


def borders(data: VideoData) -> torch.Tensor:
    """Of all pairs of one difficulty."""
    labels = data.training_labels()
    return build_groups_of_videos(labels.label, labels.group, DEPTH, labels.max_label)


class Tested:
    """An evaluation of all test videos, whose predictions are drawn, and what a run makes of it."""

    def __init__(self, data: VideoData, folder: Path) -> None:
        self.data, self.folder = data, folder

    def gather(self) -> None:
        """Batch after batch, as a validation epoch does."""
        records = self.data.records()["test"]
        true = torch.tensor([record.score for record in records])
        index = torch.arange(len(records))
        pred = true + 10 * torch.randn(len(records), generator=torch.Generator().manual_seed(0))
        metric = SpearmanById()
        for start in range(0, len(records), BATCH):
            part = slice(start, start + BATCH)
            metric.update(pred[part], true[part], index[part])
        metric.compute()
        found = Evaluation(0, {"test": metric.predictions()})
        self.recorder = Recorder(self.data.records(), last=found, best={"test": found})

    def measure(self) -> None:
        self.metrics: dict[str, Any] = self.recorder.metrics()

    def write(self) -> None:
        """The files that a run leaves."""
        self.folder.mkdir()
        predictions = self.recorder.write_predictions(self.folder)
        facts = {"format": 2, "name": "growth", "config": {"seed": 0, "data": {"action": "diving"}}, "seed": 0}
        columns = ["true", *self.recorder.protocols()]
        rest = {"metrics": self.metrics, "prediction_columns": columns, "predictions": predictions}
        save_result(self.folder, {**facts, **rest, "replaced_share": {"mean": 0.0}, "timing": {"wall_s": 1.0}})

    def report(self) -> None:
        """As `report show`, without the pictures of Fig. 8."""
        write_report(read_report([self.folder]), self.folder / "report", self._no_videos)

    @staticmethod
    def _no_videos(config: Mapping[str, Any]) -> Shown:
        raise InputError(f"the videos of {config['data']['action']} are made up")
