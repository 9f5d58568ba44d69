"""Check a data set before a night's training: `python -m src.doctor data=aqa7 data.root=...`.

Takes the same overrides as a training (`boxes=`, `data.frames=`, ...), reads every video as that training would, in
`data.workers` processes, and does not stop at the first problem. Prints a summary, writes `doctor.json` into the run's
folder, and leaves with 0 if the training can run on this data, 1 if not, 2 for a wrong configuration.
"""

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import hydra
import numpy as np
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich.progress import track
from rich.table import Table
from torch.utils.data import DataLoader, Dataset

from swapaqa.boxes.ledger import is_changed
from swapaqa.configuration.checking import check
from swapaqa.configuration.data_sets import make_data
from swapaqa.console import open_console
from swapaqa.data.dataset import Located
from swapaqa.data.feature_files import FeatureFiles
from swapaqa.data.feature_reader import refuse_mixed
from swapaqa.data.records import Record, faults
from swapaqa.data.source import VideoSource
from swapaqa.errors import LINE, InputError, one_line
from swapaqa.files.whole_file import write_whole
from swapaqa.running.out_of_memory import explained
from swapaqa.running.program import one_line_errors, run_program
from swapaqa.video.frames import frame_count, incomplete, read_frames

REPORT_FILE = "doctor.json"
SHOWN = 20  # problems on the screen; all are in the file
SAME_CONTENT = 12  # grey levels: copies in another codec or size differ by up to 6, other videos by 80 and more


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong. `blocks`: a training would stop at it, or leave the video out if told to skip."""

    kind: str  # one of KINDS
    split: str
    video_id: str  # empty for a whole split
    message: str
    blocks: bool = True


KINDS = (
    "list", "missing video", "unreadable", "incomplete", "too short", "boxes missing", "boxes unreadable",
    "boxes outside", "boxes changed", "score scale", "duplicate", "overlap",
)  # fmt: skip


@dataclass
class Finding:
    """What was found about one video."""

    record: Record
    problems: list[Problem] = field(default_factory=list)
    picture: np.ndarray | None = None  # see `thumbnails`
    size: tuple[int, int] = (0, 0)  # (H, W) of its frames

    def add(self, kind: str, message: object, blocks: bool = True) -> None:
        self.problems.append(Problem(kind, self.record.split, self.record.video_id, str(message), blocks))


class Examination(Dataset[Finding]):
    """Examines one video per item, in whatever process asks for it."""

    def __init__(self, source: VideoSource, records: Sequence[Record]) -> None:
        self.source = source
        self.records = records

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, position: int) -> Finding:
        finding = Finding(self.records[position])
        self._score(finding)
        if self.source.features is not None:
            self._features(finding, self.source.features)
            return finding
        self._boxes_there(finding)
        frames = self._frames(finding)
        located = self._located(finding, *frames) if frames else None
        if located is not None:
            self._boxes(finding, located)
        return finding

    def _score(self, finding: Finding) -> None:
        try:
            value = self.source.label(finding.record).value
        except InputError as error:
            finding.add("score scale", error)
            return
        if not np.isfinite(value):
            finding.add("score scale", f"{finding.record.video_id}: score {finding.record.score} is no number")
        elif finding.record.split == "train" and not 0 <= round(value, 6) <= self.source.max_label:
            message = f"label {value:g} of score {finding.record.score:g} is outside 0 to {self.source.max_label:g}"
            finding.add("score scale", f"{finding.record.video_id}: {message}", blocks=False)

    def _features(self, finding: Finding, files: FeatureFiles) -> None:
        """What a training on features looks at, the copies too."""
        kind = "missing video"
        try:
            files.find(finding.record.video_id)
            kind = "unreadable"
            self.source.item(finding.record)
        except InputError as error:
            finding.add(kind, error)

    def _boxes_there(self, finding: Finding) -> None:
        try:
            path = self.source.boxes.find(self.source.box_files(finding.record))
            if path is not None and is_changed(path):
                message = f"{path}: is not as this program wrote it, by a correction or by damage; look at it"
                finding.add("boxes changed", message, blocks=False)
        except InputError as error:
            finding.add("boxes missing", error)

    def _frames(self, finding: Finding) -> tuple[Path, int] | None:
        """The file or folder, and how many frames it has; None where a training would refuse it."""
        kind = "missing video"
        try:
            media = self.source.media(finding.record)
            kind = "unreadable"
            count, problem = frame_count(media, accept_incomplete=True), incomplete(media)
            if problem:
                finding.add("incomplete", problem, blocks=not self.source.accept_incomplete)
            return None if problem and not self.source.accept_incomplete else (media, count)
        except InputError as error:
            finding.add(kind, error)
            return None

    def _located(self, finding: Finding, media: Path, announced: int) -> Located | None:
        """The record with its file and window, decoded at the highest shift, the farthest that a training reads.

        Whatever is wrong with its boxes and its label.
        """
        kind = "too short"
        try:
            located = self.source.locate(finding.record)
            indices = self._farthest(located)
            kind = "unreadable" if announced > max(indices) else kind
            frames = read_frames(media, indices, *self.source.decoding)
        except InputError as error:
            finding.add(kind, error)
            return None
        finding.picture, finding.size = thumbnails(frames), frames.shape[1:3]
        return located

    def _farthest(self, located: Located) -> Sequence[int]:
        return located.window.indices(self.source.frames, self.source.shift_range[1])

    def _boxes(self, finding: Finding, located: Located) -> None:
        if any(problem.kind == "boxes missing" for problem in finding.problems):
            return
        try:
            asked = self.source.pixel_reader.request(located, finding.size, self._farthest(located))
            boxes = self.source.boxes.read(asked)
        except InputError as error:
            finding.add("boxes unreadable", error)
            return
        if self.source.boxes.frame == "source":
            self._boxes_outside(finding, boxes, finding.size)

    @staticmethod
    def _boxes_outside(finding: Finding, boxes: np.ndarray, size: tuple[int, int]) -> None:
        height, width = size
        x1, y1, x2, y2 = boxes.T
        wholly = (x2 < 0) | (y2 < 0) | (x1 > width - 1) | (y1 > height - 1)
        over = np.maximum.reduce([-x1, -y1, x2 - (width - 1), y2 - (height - 1)]).max()
        if wholly.any() or over > 0.5 * max(x2.max() - x1.min(), y2.max() - y1.min()):
            finding.add(
                "boxes outside",
                f"{finding.record.video_id}: boxes reach {over:.0f} pixels outside of the {width}x{height} frame, "
                f"wholly in {wholly.sum()} of {len(boxes)} frames; were they drawn on another size "
                "(boxes.annotated_size=)?",
                blocks=False,
            )


def examine(source: VideoSource, workers: int) -> tuple[dict[str, int], list[Problem]]:
    """Videos by split, and all problems of a data set, in the order of its lists, found in `workers` processes."""
    counts: dict[str, int] = {}
    problems: list[Problem] = []
    records: list[Record] = []
    for split in ("train", *source.test_splits):
        try:
            chosen = source.read_split(split)
        except InputError as error:
            if not any(problem.message == str(error) for problem in problems):  # one table holds several splits
                problems.append(Problem("list", split, "", str(error)))
            chosen = []
        counts[split] = len(chosen)
        records += chosen
    problems += [Problem("list", "", "", fault) for fault in faults(records, source.shown)]
    if (overlap := source.overlap(records)) is not None:
        problems.append(Problem("overlap", "", "", overlap, blocks=False))
    loader = DataLoader(Examination(source, records), batch_size=None, num_workers=workers)
    with explained("lower data.workers or data.frames"):
        findings = list(track(loader, description="reading every video", total=len(records)))
    problems += [problem for finding in findings for problem in finding.problems]
    if source.features is not None and not problems:
        problems += mixed_features(source, source.features, records)
    return counts, problems + duplicates(findings)


def mixed_features(source: VideoSource, files: FeatureFiles, records: Sequence[Record]) -> list[Problem]:
    """Why the features of all videos cannot make one data set, each of which can be read."""
    try:
        refuse_mixed(files, {"all": [source.item(record) for record in records]}, votes=False)
    except InputError as error:
        return [Problem("list", "", "", str(error))]
    return []


def thumbnails(frames: np.ndarray) -> np.ndarray:
    """(T, H, W, 3) uint8 -> (16, 16, 16, 3) int16: 16 frames evenly spread, as pictures of 16x16 pixels."""
    chosen = np.linspace(0, len(frames) - 1, 16).round().astype(int)
    small = [cv2.resize(frames[i], (16, 16), interpolation=cv2.INTER_AREA) for i in chosen]
    return np.stack(small).astype(np.int16)


def duplicates(findings: Sequence[Finding]) -> list[Problem]:
    """Videos of a test split with the content of a training video, in whatever codec or size.

    A training can run with them; its test numbers would then be partly of videos that it has seen.
    """
    train = [found for found in findings if found.record.split == "train" and found.picture is not None]
    if not train:
        return []
    pictures = np.stack([found.picture for found in train if found.picture is not None])  # (N, 16, 16, 16, 3)
    problems = []
    for found in findings:
        if found.record.split != "train" and found.picture is not None:
            distance = np.abs(pictures - found.picture).max(axis=(1, 2, 3, 4))
            if distance.min() <= SAME_CONTENT:
                record, twin = found.record, train[int(distance.argmin())].record.video_id
                message = f"{record.video_id} of {record.split} shows what {twin} of train shows; take one of them out"
                problems.append(Problem("duplicate", record.split, record.video_id, message, blocks=False))
    return problems


def without_exemplars(source: VideoSource) -> list[Problem]:
    """Why the training videos cannot be exemplars, as a method that compares videos needs them."""
    try:
        source.exemplar_bank(source.read_split("train"), seed=0)
    except InputError as error:
        return [Problem("list", "train", "", str(error))]
    return []


def left_over(counts: Mapping[str, int], problems: Sequence[Problem]) -> list[Problem]:
    """With `data.skip_unreadable`: the splits of which nothing would be left."""
    bad = {(problem.split, problem.video_id) for problem in problems if problem.blocks and problem.video_id}
    lost = Counter(split for split, _ in bad)
    empty = [split for split, count in counts.items() if count and lost[split] >= count]
    return [Problem("list", split, "", f"{split}: no readable video is left") for split in empty]


def can_train(problems: Sequence[Problem], skip_unreadable: bool) -> bool:
    """Whether a training would run: with `data.skip_unreadable`, problems of single videos do not stop it."""
    return not any(problem.blocks and not (skip_unreadable and problem.video_id) for problem in problems)


def show(counts: dict[str, int], problems: Sequence[Problem], verdict: bool, path: Path) -> None:
    """Print the numbers by split and kind, the first problems and the verdict."""
    table = Table(title="doctor")
    for column in ("split", "videos", *(kind for kind in KINDS if any(p.kind == kind and p.split for p in problems))):
        table.add_column(column)
    for split, count in counts.items():
        kinds = Counter(problem.kind for problem in problems if problem.split == split)
        table.add_row(split, str(count), *(str(kinds[str(column.header)]) for column in table.columns[2:]))
    console = open_console()
    console.print(table)
    for problem in problems[:SHOWN]:
        word = "problem" if problem.blocks else "warning"
        console.print(
            f"{word}, {problem.kind}: {one_line(problem.message, LINE)}", markup=False, highlight=False, soft_wrap=True
        )
    if len(problems) > SHOWN:
        console.print(f"and {len(problems) - SHOWN} more")
    console.print(f"{'can' if verdict else 'cannot'} train; everything is in {path}", soft_wrap=True)


@hydra.main(version_base="1.3", config_path="pkg://swapaqa.conf", config_name="train")
@one_line_errors
def main(cfg: DictConfig) -> None:
    check(cfg)
    data = make_data(cfg.data)
    counts, problems = examine(data.source, data.workers)
    problems += without_exemplars(data.source) if data.voters and counts["train"] else []
    problems += left_over(counts, problems) if data.skip_unreadable else []
    verdict = can_train(problems, data.skip_unreadable)
    path = Path(HydraConfig.get().runtime.output_dir) / REPORT_FILE
    report = {"can_train": verdict, "videos": counts, "problems": [asdict(problem) for problem in problems]}
    write_whole(path, json.dumps(report, indent=1))
    show(counts, problems, verdict, path)
    if not verdict:
        sys.exit(1)


if __name__ == "__main__":
    run_program(main)
