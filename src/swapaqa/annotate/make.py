"""Boxes for a whole data set by a tracker: in several processes, a file a video, so that it can be stopped at any time.

A file that is there stays. `fill` adds what a tracker finds between the boxes that were drawn by hand, which stay as
they are; `again` replaces what a tracker wrote and nobody has changed since.
"""

import shutil
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from rich.progress import track

from swapaqa.annotate.box_file import (
    TRACKERS,
    FileChangedError,
    format_row,
    read_rows,
    write_text,
)
from swapaqa.annotate.follow import (
    Followed,
    Settings,
    follow_athlete,
    follow_detected,
    labelled_rows,
    settings_of,
)
from swapaqa.annotate.listing import Listed, wanted_frames
from swapaqa.boxes.detected import athlete_mask, detector_of
from swapaqa.boxes.detector import OnnxDetector
from swapaqa.boxes.ledger import Ledger, State, content_digest
from swapaqa.boxes.source import BoxRow
from swapaqa.boxes.tracker_boxes import FirstBox, TrackerBoxes
from swapaqa.console import open_console
from swapaqa.data.source import VideoSource
from swapaqa.errors import InputError
from swapaqa.files.whole_file import write_whole
from swapaqa.pool import in_processes
from swapaqa.video.frames import Decoding, decode


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
    masks: bool = False  # write those of the detector too


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
        segmenter = segmenter_of(job) if job.masks else None
        athletes = list(found_athletes(job, drawn))
        text, lost, count = followed_text(job, athletes)
        if segmenter:
            write_masks(job, segmenter, [athlete.followed for athlete in athletes])
        digest = write_text(job.path, text, read)
    except (InputError, FileChangedError) as error:
        problem = f"{error}: was changed meanwhile" if isinstance(error, FileChangedError) else str(error)
        return Made(job.video_id, job.path, "", 0, 0, time.perf_counter() - start, problem)
    return Made(job.video_id, job.path, digest, lost, count, time.perf_counter() - start, "")


class Athlete(NamedTuple):
    """One of a video's athletes."""

    name: str
    drawn: Sequence[BoxRow]
    followed: Followed


def followed_text(job: Job, athletes: Sequence[Athlete]) -> tuple[str, int, int]:
    """The lines of a box file, and in how many of how many frames the athletes were lost.

    Raises:
        InputError: too many frames are lost.
    """
    lines: list[tuple[int, str]] = []
    lost = count = 0
    for name, rows, followed in athletes:
        check_lost(job, followed)
        lost, count = lost + int((~followed.found).sum()), count + len(followed.frames)
        lines += [(row.frame, format_row(row.frame, name, row.box, row.label)) for row in rows]
        keyframes = {row.frame: np.array(row.box) for row in rows}
        lines += tracker_lines(name, followed, keyframes, job.settings.method if rows else job.settings.label)
    return "".join(line for _, line in sorted(lines, key=lambda pair: pair[0])), lost, count


def found_athletes(job: Job, drawn: Sequence[BoxRow]) -> Iterator[Athlete]:
    """Those that were drawn or, if nobody was, those detected. InputError as `follow_athlete`."""
    athletes: dict[str, list[BoxRow]] = {}
    for row in drawn:
        athletes.setdefault(row.object_id or "0", []).append(row)
    if not athletes and job.settings.detecting:
        for number, followed in enumerate(follow_detected(job.media, job.frames, job.settings, job.decoding)):
            yield Athlete(str(number), [], followed)
        return
    for name, rows in (athletes or {"0": []}).items():
        keyframes = {row.frame: np.array(row.box) for row in rows}
        yield Athlete(name, rows, follow_athlete(job.media, job.frames, keyframes, job.settings, job.decoding))


def mask_folder(job: Job) -> Path:
    """Where `boxes=masks` looks for the masks of a job's video."""
    return job.path.with_suffix("")


def segmenter_of(job: Job) -> OnnxDetector:
    """The network that gives a job's masks; asked before anybody is followed.

    Raises:
        InputError: no detector, one without masks, or masks that are there already.
    """
    detecting, folder = job.settings.detecting, mask_folder(job)
    detector = detector_of(detecting.weights, detecting.class_ids) if detecting else None
    if not isinstance(detector, OnnxDetector):
        raise InputError(
            "--masks: say boxes.first_box=detector boxes.weights=[FILE.onnx] of a network that gives masks"
        )
    detector.check_masks()
    if folder.exists():
        raise InputError(f"{folder}: is there already; remove it for new masks")
    return detector


def write_masks(job: Job, segmenter: OnnxDetector, athletes: Sequence[Followed]) -> None:
    """The athletes' masks beside the box file, as `boxes=masks` reads them: `<index>/00031.png`, a frame each."""
    folder = mask_folder(job)
    unfinished = folder.with_name(f".unfinished-{folder.name}")
    shutil.rmtree(unfinished, ignore_errors=True)  # of a run that was stopped
    boxes = [dict(zip(one.frames, one.boxes, strict=True)) for one in athletes]
    away = [{frame for frame, gone in zip(one.frames, one.outside, strict=True) if gone} for one in athletes]
    for frame, picture in zip(job.frames, decode(job.media, job.frames, *job.decoding), strict=True):
        found, size = segmenter.segment(picture), picture.shape[:2]
        there = [
            athlete_mask(found, own[frame], size) for own, gone in zip(boxes, away, strict=True) if frame not in gone
        ]
        mask = np.logical_or.reduce([np.zeros(size, bool), *there])
        encoded = cv2.imencode(".png", mask.astype(np.uint8) * 255)[1]
        write_whole(unfinished / f"{frame:05d}.png", encoded.tobytes())
    unfinished.rename(folder)


def tracker_lines(
    name: str, followed: Followed, keyframes: dict[int, np.ndarray], method: str
) -> Iterator[tuple[int, str]]:
    """A line for each of `labelled_rows`."""
    for frame, box, label in labelled_rows(followed, method, keyframes):
        yield frame, format_row(frame, name, box, label)


def check_lost(job: Job, followed: Followed) -> None:
    """InputError where the athlete was lost in more frames than `max_lost` allows."""
    lost, count = int((~followed.found).sum()), len(followed.frames)
    if lost > job.settings.max_lost * count:
        raise InputError(
            f"{job.media}: {job.settings.label} lost the athlete in {lost} of {count} frames, more than "
            f"boxes.max_lost={job.settings.max_lost:g}; draw a few keyframes"
        )


def estimate(seconds: Sequence[float], left: int, processes: int) -> float:
    """Seconds for `left` more videos, from those that took `seconds` each in as many processes."""
    return float(np.mean(seconds)) * left / processes


def jobs_of(
    source: VideoSource, tracker: TrackerBoxes, due: Sequence[Listed], ledger: Ledger, masks: bool = False
) -> tuple[list[Job], list[tuple[str, str]]]:
    """A job for each video that is due; and, by id, why there is none for a video."""
    jobs, failed = list[Job](), list[tuple[str, str]]()
    for video in due:
        try:
            media, frames = wanted_frames(source, video.record)
        except InputError as error:
            failed.append((video.record.video_id, str(error)))
            continue
        keep = ledger.state(video.path) != "tracker"
        start = (settings_of(tracker), tracker.first_box, keep)
        jobs.append(Job(video.record.video_id, media, frames, video.path, *start, source.decoding, masks))
    return jobs, failed


def run_jobs(jobs: list[Job], processes: int, ledger: Ledger, method: str, failed: list[tuple[str, str]]) -> list[Made]:
    """Work on all jobs under a progress bar; failures are added to `failed`. Returns those with lost frames."""
    console = open_console()
    processes, gaps, start = min(processes, len(jobs)), list[Made](), time.perf_counter()
    results = in_processes(make_boxes, jobs, processes)

    def note(made: Made) -> float:
        if made.problem:
            failed.append((made.video_id, made.problem))
        else:
            ledger.add(made.path, made.digest, method)
            gaps.extend([made] if made.lost else [])
        return made.seconds

    first = [note(made) for made in islice(results, processes)]
    left = len(jobs) - len(first)
    minutes = estimate(first, left, processes) / 60
    console.print(
        f"{sum(first) / len(first):.1f} s a video: about {minutes:.1f} minutes for {left} more in {processes} "
        "processes. Stop at any time; the same command goes on."
    )
    for made in track(results, description="tracking", total=left, console=console):
        note(made)
    console.print(f"{time.perf_counter() - start:.0f} s for {len(jobs)} videos")
    return gaps
