"""Reading "CVAT for video 1.1": the tracks of one video, each shape as the upright box around it.

CVAT's corners are edges: a box over the whole frame is (0, 0, W, H). Inclusive pixels are therefore x1 = xtl and
x2 = xbr - 1, which keeps the width: x2 = x1 + w - 1.

CVAT writes a shape for every frame, `keyframe="0"` where it has interpolated; these are read as they are, also where
rotation was interpolated, and a file with keyframes alone is interpolated. A shape that is `outside` says that its
object is not there until the next one that is not. `occluded`, `z_order` and `group_id` change nothing.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element

from swapaqa.boxes.cvat_shapes import NOT_READ, READ, edges_of, shown, whole_at
from swapaqa.boxes.cvat_tasks import Task, task_of_video, tasks_of
from swapaqa.boxes.source import BoxRow
from swapaqa.boxes.tracks import BoxFile, checked_box, parse_xml
from swapaqa.errors import InputError
from swapaqa.files.foreign_file import check_regular


class Choice(NamedTuple):
    """Which tracks count, all where empty, and of which video."""

    ids: Sequence[int | str] = ()
    labels: Sequence[str] = ()
    video: Sequence[str] = ()  # what it may be called, best first, for a file about several

    def counts(self, track: Element) -> bool:
        wanted = {str(number) for number in self.ids}
        named = not wanted or track.get("id") in wanted
        return named and (not self.labels or track.get("label", "") in self.labels)


ALL = Choice()


def read_cvat(path: Path, choice: Choice = ALL) -> BoxFile:
    """The boxes of one video in the frames of its file, the size of its frames, and where its tracks leave.

    Tracks that do not count are left out where they are of another video or drawn in a way that is not read; the
    others are among the rows, so that what is there can be named.

    Raises:
        InputError: naming the file, track and frame: not that format, a number that is none, a box without extent, a
            frame that is not in the task; or a file of several videos of which none is told.
    """
    task, tracks = _tracks(path, choice)
    found = list(_rows(tracks, task, choice, path))
    rows, gone = [row for row, there in found if there], [row for row, there in found if not there]
    _check_steps(rows, task)
    return BoxFile(rows, task.size, gone)


class Shape(NamedTuple):
    """One shape of a track."""

    frame: int  # of the video
    element: Element
    there: bool  # False where it says that its object has left
    place: str  # for messages


def read_shapes(path: Path, choice: Choice) -> tuple[tuple[int, int] | None, list[tuple[Element, list[Shape]]]]:
    """Size (H, W) of the frames, where the file says it, and the shapes of each track that counts, by frame.

    Raises:
        InputError: as `read_cvat`.
    """
    task, tracks = _tracks(path, choice)
    found = []
    for track in filter(choice.counts, tracks):
        shapes = []
        for element in track:
            if element.tag in (*READ, *NOT_READ):
                place = f"{path}, track {shown(track, 'id')}, frame {shown(element, 'frame')}"
                number, there = whole_at(element.get("frame"), place), not _is_outside(element, place)
                frame = task.frame(number, place) if there else number - task.offset
                shapes.append(Shape(frame, element, there, place))
        found.append((track, sorted(shapes, key=lambda shape: shape.frame)))
    return task.size, found


def _tracks(path: Path, choice: Choice) -> tuple[Task, list[Element]]:
    """The task of the video that is asked for, and its tracks."""
    root = _read(path)
    tracks = root.findall("track")
    if not tracks:
        what = "holds <image>s: it is 'CVAT for images'" if root.find("image") is not None else "has no <track>"
        raise InputError(f"{path}: {what}; draw the athlete as a track and export as 'CVAT for video 1.1'")
    tasks = tasks_of(root, path)
    task = tasks[0] if len(tasks) == 1 else _task(tracks, tasks, choice, path)
    if len(tasks) > 1:
        tracks = [track for track in tracks if track.get("task_id") == task.number]
    return task, tracks


def videos_in(path: Path) -> list[str]:
    """What the videos of a file are called, one name a task; empty for a file of one video."""
    tasks = tasks_of(_read(path), path)
    return [task.names[0] if task.names else str(task.number) for task in tasks] if len(tasks) > 1 else []


def _read(path: Path) -> Element:
    check_regular(path)
    return _root(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _root(path: Path, changed: int) -> Element:  # noqa: ARG001  a file that changed is read again
    """Kept, because the export of a project is asked for one video after the other."""
    return parse_xml(path)


def _task(tracks: Sequence[Element], tasks: Sequence[Task], choice: Choice, path: Path) -> Task:
    for track in tracks:
        if track.get("task_id") not in {task.number for task in tasks}:
            raise InputError(
                f"{path}, track {shown(track, 'id')}: task_id {shown(track, 'task_id')} is none of the {len(tasks)} "
                "tasks that the file names; export it from CVAT again"
            )
    drawn = {track.get("task_id") for track in tracks if choice.counts(track)}
    return task_of_video(tasks, drawn, choice.video, path)


def _rows(tracks: Sequence[Element], task: Task, choice: Choice, path: Path) -> Iterator[tuple[BoxRow, bool]]:
    """Every shape as a row, and whether its object is there."""
    for track in tracks:
        for shape in track:
            if shape.tag in NOT_READ and choice.counts(track):
                raise InputError(
                    f"{path}, track {shown(track, 'id')}: is drawn as <{shape.tag}>; what is read is {', '.join(READ)}"
                    "; choose other tracks with boxes.ids= or boxes.labels=, or delete it in CVAT"
                )
            if shape.tag in READ:
                there = not _is_outside(shape, f"{path}, track {shown(track, 'id')}, frame {shown(shape, 'frame')}")
                yield _row(track, shape, task, there, path), there


def _is_outside(shape: Element, place: str) -> bool:
    """CVAT writes 0 and 1; other programs that write its format spell the words out."""
    given = shape.get("outside", "0").strip().lower()
    if given not in ("0", "1", "false", "true"):
        raise InputError(f"{place}: outside '{shown(shape, 'outside')}' is neither 0 nor 1; correct it")
    return given in ("1", "true")


def _row(track: Element, shape: Element, task: Task, there: bool, path: Path) -> BoxRow:
    place = f"{path}, track {shown(track, 'id')}, frame {shown(shape, 'frame')}"
    number = whole_at(shape.get("frame"), place)
    xtl, ytl, xbr, ybr = edges_of(shape, place)
    turn = f" rotation={shown(shape, 'rotation')}" if shape.get("rotation") else ""
    given = f"xtl={xtl:g} ytl={ytl:g} xbr={xbr:g} ybr={ybr:g}{turn}"
    corners = checked_box((xtl, ytl, xbr - 1, ybr - 1), place, given)
    frame = task.frame(number, place) if there else number - task.offset  # the one behind the last may say outside
    return BoxRow(frame, track.get("id"), track.get("label", ""), corners, place)


def _check_steps(rows: Sequence[BoxRow], task: Task) -> None:
    """InputError where the frames of a job, whose first one the file does not say, are not in the task's steps."""
    for row in rows:
        if (row.frame - rows[0].frame) % task.step:
            raise InputError(
                f"{row.place}: the file says frame_filter step={task.step}, and its frames are not in that step; "
                "export it from CVAT again"
            )
