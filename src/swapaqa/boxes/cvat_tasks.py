"""The tasks that a CVAT file is of, and how its frames are counted.

CVAT's own exporter decides this (cvat/apps/dataset_manager/bindings.py). In the export of a task or of a job a frame's
number is that of the source video, whatever part or step (`start_frame`, `frame_filter`) the task has of it:
start_frame + i * step. In the export of a project the tasks of a subset are counted on: task after task a frame's
number has sum(start_frame + step * size) of those before it on top. The numbers are held against what the file says
of its tasks, since a file that counts otherwise would be read in other frames.
"""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from xml.etree.ElementTree import Element

from swapaqa.boxes.cvat_shapes import whole_at
from swapaqa.command import spelled
from swapaqa.errors import InputError


class Task(NamedTuple):
    """A video in a file."""

    number: str | None  # `id`; None where the file has no task with one
    names: tuple[str, ...]  # of the source file and of the task
    size: tuple[int, int] | None  # (H, W)
    offset: int  # what is on top of the frames of the source video
    first: int | None  # number of its first frame in the source video; None where the file does not say
    last: int | None
    step: int

    def frame(self, number: int, place: str) -> int:
        """The frame of the source video. InputError for one that is not in the task."""
        frame = number - self.offset
        if self.first is None or self.last is None:
            return frame
        if not self.first <= frame <= self.last or (frame - self.first) % self.step:
            step = "" if self.step == 1 else f" in steps of {self.step}"
            raise InputError(
                f"{place}: is none of the frames {self.first + self.offset} to {self.last + self.offset}{step} that "
                "the file says its task has; export it from CVAT again"
            )
        return frame


def tasks_of(root: Element, path: Path) -> list[Task]:
    """The tasks of a file in its order: one in the export of a task or job, or in a file that names none."""
    project = root.find("meta/project")
    if project is not None:
        return _counted_on(project.findall("tasks/task"), path)
    found = root.find("meta/task")
    found = root.find("meta/job") if found is None else found
    source = root.findtext("meta/source") or ""
    return [Task(None, (source,), _size(root, path), 0, None, None, 1)] if found is None else [
        _task(found, path, 0, _size(root, path), source)
    ]  # fmt: skip


def _counted_on(elements: Sequence[Element], path: Path) -> list[Task]:
    tasks: list[Task] = []
    offset, subset = 0, None
    for element in elements:
        own = element.findtext("subset") or ""
        offset, subset = (0, own) if own != subset else (offset, subset)
        tasks.append(_task(element, path, offset, _size(element, path), element.findtext("source") or ""))
        size, start = element.findtext("size"), element.findtext("start_frame") or "0"
        place = f"{path}, task {tasks[-1].number}"
        offset += whole_at(start, f"{place}, start_frame") + tasks[-1].step * whole_at(size, f"{place}, size")
    return tasks


def _task(element: Element, path: Path, offset: int, size: tuple[int, int] | None, source: str) -> Task:
    place = f"{path}, <{element.tag}>"
    step = re.fullmatch(r"\s*(?:step\s*=\s*(\d{1,9}))?\s*", element.findtext("frame_filter") or "")
    if step is None or int(step[1] or 1) == 0:
        raise InputError(f"{place}: frame_filter '{element.findtext('frame_filter')}' is not 'step=2'; correct it")
    first, last = element.findtext("start_frame"), element.findtext("stop_frame")
    ends = [whole_at(text, f"{place}, start_frame or stop_frame") if text else None for text in (first, last)]
    if element.tag == "job" or (ends[0] is not None and ends[1] is not None and ends[1] <= ends[0]):
        ends = [None, None]  # a job's count the task's frames; a task's of no length were not written
    names = tuple(name for name in (source, element.findtext("name") or "") if name)
    return Task(element.findtext("id"), names, size, offset, ends[0], ends[1], int(step[1] or 1))


def _size(element: Element, path: Path) -> tuple[int, int] | None:
    found = element.find(".//original_size")
    if found is None:
        return None
    place = f"{path}, <original_size>"
    height, width = (whole_at(found.findtext(side), place) for side in ("height", "width"))
    if not (0 < height < 100_000 and 0 < width < 100_000):
        raise InputError(f"{place}: {width}x{height} is no size of a frame; export as 'CVAT for video 1.1' again")
    return height, width


def task_of_video(tasks: Sequence[Task], drawn: set[str | None], video: Sequence[str], path: Path) -> Task:
    """The task of one video in the export of a project.

    Args:
        drawn: the tasks of the tracks that count.
        video: what the video may be called, best first.

    Raises:
        InputError: neither a name nor the tracks that count tell.
    """
    for name in video:
        named = [task for task in tasks if _plain(name) in map(_plain, task.names)]
        if len(named) == 1:
            return named[0]
    chosen = [task for task in tasks if task.number in drawn]
    if len(tasks) == 1 or len(chosen) == 1:
        return (chosen or list(tasks))[0]
    known = "; ".join(f"{task.number}: {', '.join(dict.fromkeys(task.names))}" for task in tasks[:5])
    raise InputError(
        f"{path}: is the export of a project with {len(tasks)} tasks ({known}{' ...' if len(tasks) > 5 else ''}), and "
        f"none is called {' or '.join(dict.fromkeys(video)) or 'like the video'}; export the video's task, choose its "
        f"tracks with boxes.ids=, or take all apart with `{spelled('boxes import')}`"
    )


def _plain(name: str) -> str:
    """A file's name without folder, suffix, and leading zeros of its numbers."""
    stem = PurePosixPath(name.replace("\\", "/")).name
    stem = re.sub(r"\.[A-Za-z]\w{1,4}$", "", stem)
    return re.sub(r"\d+", lambda digits: digits.group().lstrip("0") or "0", stem).casefold()
