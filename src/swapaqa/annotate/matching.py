"""Which video of a data set a file of boxes belongs to, by the names of the file and of its folders."""

import re
from collections.abc import Sequence
from pathlib import Path

from swapaqa.boxes.archive import is_cvat_archive
from swapaqa.boxes.cvat_xml import videos_in
from swapaqa.errors import InputError

GENERIC = ("annotations", "gt")  # names that annotation tools give to files and folders of any video
SUFFIXES = (".txt", ".csv", ".xml", ".zip")


def box_files(paths: Sequence[Path]) -> list[Path]:
    """The files among `paths`, and those below the folders among them. InputError for a path that is not there."""
    found = []
    for path in paths:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
        below = sorted(entry for entry in path.rglob("*") if entry.suffix.lower() in SUFFIXES)
        found += below if path.is_dir() else [path]
    return found


def named_videos(source: Path) -> list[str]:
    """What names the videos of a file: the file itself, or each task in the export of a CVAT project."""
    if source.suffix.lower() != ".xml" and not is_cvat_archive(source):
        return [str(source)]
    try:
        return videos_in(source) or [str(source)]
    except InputError:  # said when its boxes are read
        return [str(source)]


def match_video(path: Path, video_ids: Sequence[str]) -> str:
    """The id that `path` names: its folders and name end like the id, or its name alone is that of one video.

    Numbers match in any width: `7.txt` is `diving/007`. `007/annotations.xml` and `007/gt/gt.txt` name 007.

    Raises:
        InputError: no video, or several.
    """
    parts = [_plain(part) for part in path.with_suffix("").parts]
    while parts and parts[-1] in GENERIC:
        parts.pop()
    split = {video_id: [_plain(part) for part in video_id.split("/")] for video_id in video_ids}
    whole = [video_id for video_id, own in split.items() if parts[-len(own) :] == own]
    found = whole or [video_id for video_id, own in split.items() if parts[-1:] == own[-1:]]
    if len(found) != 1:
        number = f"{len(found)} videos ({', '.join(found[:3])} ...)" if found else "no video"
        raise InputError(f"{path}: its name is that of {number}; name the video with --video, one like {video_ids[0]}")
    return found[0]


def _plain(part: str) -> str:
    """Without leading zeros of its numbers: 18_067 -> 18_67."""
    return re.sub(r"\d+", lambda digits: str(int(digits.group())), part)
