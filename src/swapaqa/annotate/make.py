"""Boxes for a whole data set by a tracker: in several processes, a file a video, so that it can be stopped at any time.

A file that is there stays. `fill` adds what a tracker finds between the boxes that were drawn by hand, which stay as
they are; `again` replaces what a tracker wrote and nobody has changed since.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from swapaqa.annotate.box_file import (
    TRACKERS,
    FileChangedError,
    format_row,
    read_rows,
    write_text,
)
from swapaqa.annotate.follow import Followed, Settings, follow_athlete
from swapaqa.boxes.ledger import State, content_digest
from swapaqa.boxes.source import BoxRow
from swapaqa.errors import InputError
from swapaqa.video.frames import Decoding

FirstBox = Literal["given", "motion", "either"]


class Job(NamedTuple):
    """One video to be followed."""

    video_id: str
    media: Path
    frames: Sequence[int]  # wanted, zero-based
    path: Path  # of its box file
    settings: Settings
    first_box: FirstBox
    keep_hand: bool  # rows drawn by hand are anchors and stay; else the file is written anew
    decoding: Decoding = Decoding()


class Made(NamedTuple):
    """What became of a job. `problem` is empty where a file was written."""

    video_id: str
    path: Path
    digest: str
    lost: int  # frames
    frames: int
    seconds: float
    problem: str


def is_due(state: State, path: Path, fill: bool, again: bool) -> bool:
    """Whether a video in this state is to be tracked."""
    if state == "none":
        return True
    if state == "tracker":
        return again
    return fill and state == "hand" and bool(hand_rows(path))


def hand_rows(path: Path) -> list[BoxRow]:
    """The rows of a box file that no tracker made."""
    return [row for row in read_rows(path) if row.label not in TRACKERS]


def make_boxes(job: Job) -> Made:
    """Follow the athletes of one video and write its file."""
    start, read = time.perf_counter(), content_digest(job.path)
    try:
        drawn = hand_rows(job.path) if job.keep_hand else []
        if job.first_box == "given" and not drawn:
            raise InputError(f"{job.path}: no box to start from; draw one, or say boxes.first_box=either")
        text, lost, count = followed_text(job, drawn)
        digest = write_text(job.path, text, read)
    except (InputError, FileChangedError) as error:
        problem = f"{error}: was changed meanwhile" if isinstance(error, FileChangedError) else str(error)
        return Made(job.video_id, job.path, "", 0, 0, time.perf_counter() - start, problem)
    return Made(job.video_id, job.path, digest, lost, count, time.perf_counter() - start, "")


def followed_text(job: Job, drawn: Sequence[BoxRow]) -> tuple[str, int, int]:
    """The lines of a box file, and in how many of how many frames the athlete was lost.

    Raises:
        InputError: too many frames are lost, or as `follow_athlete`.
    """
    athletes: dict[str, list[BoxRow]] = {}
    for row in drawn:
        athletes.setdefault(row.object_id or "0", []).append(row)
    lines: list[tuple[int, str]] = []
    lost = count = 0
    for name, rows in (athletes or {"0": []}).items():
        keyframes = {row.frame: np.array(row.box) for row in rows}
        followed = follow_athlete(job.media, job.frames, keyframes, job.settings, job.decoding)
        check_lost(job, followed)
        lost, count = lost + int((~followed.found).sum()), count + len(followed.frames)
        lines += [(row.frame, format_row(row.frame, name, row.box, row.label)) for row in rows]
        lines += tracker_lines(name, followed, keyframes, job.settings.method)
    return "".join(line for _, line in sorted(lines, key=lambda pair: pair[0])), lost, count


def tracker_lines(
    name: str, followed: Followed, keyframes: dict[int, np.ndarray], method: str
) -> Iterator[tuple[int, str]]:
    """A line for every frame in which the athlete was found, but for the keyframes."""
    for frame, box, found in zip(*followed, strict=True):
        if found and frame not in keyframes:
            yield frame, format_row(frame, name, box, method)


def check_lost(job: Job, followed: Followed) -> None:
    """InputError where the athlete was lost in more frames than `max_lost` allows."""
    lost, count = int((~followed.found).sum()), len(followed.frames)
    if lost > job.settings.max_lost * count:
        raise InputError(
            f"{job.media}: {job.settings.method} lost the athlete in {lost} of {count} frames, more than "
            f"boxes.max_lost={job.settings.max_lost:g}; draw a few keyframes"
        )


def estimate(seconds: Sequence[float], left: int, processes: int) -> float:
    """Seconds for `left` more videos, from those that took `seconds` each in as many processes."""
    return float(np.mean(seconds)) * left / processes
