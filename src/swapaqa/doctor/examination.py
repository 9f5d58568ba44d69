"""Every video of a data set, read as a training would read it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.progress import track
from torch.utils.data import DataLoader, Dataset

from swapaqa.boxes.ledger import is_changed
from swapaqa.data.dataset import Located
from swapaqa.data.feature_files import FeatureFiles
from swapaqa.data.feature_reader import refuse_mixed
from swapaqa.data.footage import shared_words
from swapaqa.data.records import Record, faults
from swapaqa.data.source import VideoSource
from swapaqa.doctor.duplicates import duplicates, thumbnails
from swapaqa.doctor.problem import Finding, Problem
from swapaqa.errors import InputError
from swapaqa.running.out_of_memory import explained
from swapaqa.video.frames import frame_count, incomplete, read_frames


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
    loader = DataLoader(Examination(source, records), batch_size=None, num_workers=workers)
    with explained("lower data.workers or data.frames"):
        findings = list(track(loader, description="reading every video", total=len(records)))
    problems += [problem for finding in findings for problem in finding.problems]
    if source.features is not None and not problems:
        problems += mixed_features(source, source.features, records)
    problems += duplicates(findings)
    if (overlap := shared_words(records, source.footage)) is not None:
        problems.append(Problem("overlap", "", "", overlap, blocks=False))
    return counts, problems


def mixed_features(source: VideoSource, files: FeatureFiles, records: Sequence[Record]) -> list[Problem]:
    """Why the features of all videos cannot make one data set, each of which can be read."""
    try:
        refuse_mixed(files, {"all": [source.item(record) for record in records]}, votes=False)
    except InputError as error:
        return [Problem("list", "", "", str(error))]
    return []
