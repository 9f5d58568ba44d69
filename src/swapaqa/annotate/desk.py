"""What the drawing page works on: the list of videos, the frames of those that are open, and their box files.

Nothing here knows HTTP. Videos are addressed by their ids, never by a path; files are read and written under the
folders that the desk was opened with, and nowhere else.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import cv2
import numpy as np

from swapaqa.annotate.box_file import (
    HAND,
    TRACKERS,
    FileChangedError,
    format_row,
    read_rows,
    write_text,
)
from swapaqa.annotate.follow import Settings, follow_athlete, labelled_rows
from swapaqa.annotate.listing import Listed, list_videos, wanted_frames
from swapaqa.annotate.sheet import sheet_path, with_links
from swapaqa.boxes.ledger import ACCEPTED, Ledger, content_digest
from swapaqa.boxes.source import BoxRow
from swapaqa.data.frame_store import WantedFrames
from swapaqa.data.source import VideoSource
from swapaqa.errors import InputError
from swapaqa.video.frames import decode

OPEN_VIDEOS = 4  # whose frames are kept in memory as JPEG
JPEG_QUALITY = 90
WORST = 1000.0  # severity of a video without boxes, for which a table says infinity and JSON has no word


class ForbiddenError(Exception):
    """Something that the page must not have: a video that is not in the list, a file outside of the folders."""


class Opened(NamedTuple):
    """The frames of one video."""

    want: WantedFrames
    size: tuple[int, int]  # (H, W)
    pictures: list[bytes]  # JPEG, one a frame of `want.indices`


class Desk:
    """Annotation of one data set.

    Args:
        source: of which lists, files, window and geometry are taken; its boxes are DarkLabel files.
        settings: of the tracker that proposes boxes.
        severities: by video id, from an examination; the list starts with the worst.
        allowed: further folders, for data sets whose videos are links to somewhere else.
        sheets: folder of the contact sheets of that examination.
    """

    def __init__(
        self,
        source: VideoSource,
        settings: Settings,
        severities: dict[str, float],
        allowed: Sequence[Path] = (),
        sheets: Path | None = None,
    ) -> None:
        self.source = source
        self.settings = settings
        self.severities = severities
        self.listed: dict[str, Listed] = {video.record.video_id: video for video in list_videos(source)}
        self.folder = source.boxes_folder
        self.roots = [folder.resolve() for folder in (source.folder, self.folder, *allowed)]
        self.ledger = Ledger(self.folder)
        actions = dict.fromkeys(video.record.action for video in self.listed.values())
        paths = {action: sheet_path(sheets, action) for action in actions} if sheets else {}
        self.sheets = {action: path for action, path in paths.items() if path.is_file()}
        self.opened: OrderedDict[str, Opened] = OrderedDict()
        self.opening, self.writing = threading.Lock(), threading.Lock()

    def overview(self) -> dict[str, Any]:
        """The list of videos with their state, and what the page needs to know once."""
        videos = [
            {
                "id": video_id,
                "split": video.record.split,
                "action": video.record.action,
                "state": self.ledger.state(video.path),
                "severity": min(self.severities[video_id], WORST) if video_id in self.severities else None,
            }
            for video_id, video in self.listed.items()
        ]
        if self.severities:
            videos.sort(key=lambda video: -self.severities.get(str(video["id"]), np.inf))
        geometry = self.source.geometry
        centre = geometry.centre()
        return {
            "videos": videos,
            "ratio": self.source.boxes.ratio,
            "geometry": {side: getattr(geometry, side) for side in ("height", "width", "crop")}
            | {"top": centre.top, "left": centre.left},
            "trackers": TRACKERS,
            "hand": HAND,
            "method": self.settings.method,
            "sheets": list(self.sheets),
        }

    def sheet(self, action: str) -> bytes:
        """The contact sheet of an action, whose videos lead into the page."""
        if action not in self.sheets:
            raise ForbiddenError(f"{action}: no contact sheet")
        return with_links(self.sheets[action].read_bytes())

    def video(self, video_id: str) -> dict[str, Any]:
        """One video: its frames' numbers and size, and the rows of its box file."""
        opened = self.open(video_id)
        path = self.box_file(video_id)
        digest = content_digest(path)
        return {
            "id": video_id,
            "frames": list(opened.want.indices),
            "size": opened.size,
            "digest": digest,
            "state": self.ledger.state(path),
            "rows": [row_for_page(row) for row in read_rows(path)],
            "file": path.name,
            "folder": str(path.parent),
        }

    def frame(self, video_id: str, position: int) -> bytes:
        """Frame number `position` of the window as a JPEG."""
        pictures = self.open(video_id).pictures
        if not 0 <= position < len(pictures):
            raise ForbiddenError(f"{video_id}: no frame {position}")
        return pictures[position]

    def save(self, video_id: str, text: str, digest: str | None) -> dict[str, Any]:
        """Write the box file; an empty text means no boxes and removes it.

        Raises:
            InputError: the text is not what the loader reads.
            FileChangedError: the file is not the one with this digest, the last one that the page has read.
        """
        path = self.box_file(video_id)
        if text:
            check_text(text)
        saved: str | None = None
        with self.writing:
            if text:
                saved = write_text(path, text, digest)
                self.ledger.note(path, saved, HAND)
            elif content_digest(path) != digest:
                raise FileChangedError(path)
            else:
                path.unlink(missing_ok=True)
        return {"digest": saved, "state": self.ledger.state(path)}

    def accept(self, video_id: str, digest: str | None, accepted: bool) -> dict[str, Any]:
        """Say of the file with this digest that it was looked at and is right, or take that back."""
        path = self.box_file(video_id)
        with self.writing:
            if digest is None or content_digest(path) != digest:
                raise FileChangedError(path)
            self.ledger.add(path, digest, ACCEPTED if accepted else HAND)
        return {"digest": digest, "state": self.ledger.state(path)}

    def propose(self, video_id: str, athletes: dict[str, dict[int, list[float]]]) -> dict[str, Any]:
        """What the tracker finds around the given keyframes of each athlete: rows for the page."""
        want = self.open(video_id).want
        rows, lost = [], 0
        for name, keyframes in athletes.items():
            if not set(keyframes) <= set(want.indices):
                raise ForbiddenError(f"{video_id}: keyframes outside of the window")
            drawn = {frame: np.array(box) for frame, box in keyframes.items()}
            followed = follow_athlete(want.media, want.indices, drawn, self.settings, self.source.decoding)
            lost += int((~followed.found).sum())
            for frame, box, label in labelled_rows(followed, self.settings.method, drawn):
                rows.append(row_for_page(BoxRow(frame, name, label, tuple(box.round(2).tolist()), "")))
        return {"rows": rows, "lost": lost, "frames": len(want.indices) * len(athletes)}

    def open(self, video_id: str) -> Opened:
        """The frames of a video, decoded on first use; only a few videos are kept.

        Raises:
            ForbiddenError: not in the list, or a file outside of the folders.
            InputError: missing or unreadable.
        """
        with self.opening:
            if video_id not in self.opened:
                want = wanted_frames(self.source, self._known(video_id).record)
                self.check_place(want.media)
                frames = decode(want.media, want.indices, *self.source.decoding)
                self.opened[video_id] = Opened(want, frames.size, [jpeg(frame) for frame in frames])
                while len(self.opened) > OPEN_VIDEOS:
                    self.opened.popitem(last=False)
            self.opened.move_to_end(video_id)
            return self.opened[video_id]

    def box_file(self, video_id: str) -> Path:
        """The path of a video's box file. ForbiddenError outside of the folders."""
        path = self._known(video_id).path
        self.check_place(path)
        return path

    def _known(self, video_id: str) -> Listed:
        if video_id not in self.listed:
            raise ForbiddenError(f"{video_id}: not in the list")
        return self.listed[video_id]

    def check_place(self, path: Path) -> None:
        """ForbiddenError unless `path`, links followed, lies under one of the folders."""
        real = path.resolve()
        if not any(real.is_relative_to(root) for root in self.roots):
            raise ForbiddenError(f"{path} leads to {real}, outside of the data's folder; name its folder with --allow")


def row_for_page(row: BoxRow) -> dict[str, Any]:
    """A row as the page has it: x1 y1 x2 y2 as the loader reads them."""
    return {"frame": row.frame, "id": row.object_id or "0", "box": list(row.box), "label": row.label}


def check_text(text: str) -> None:
    """InputError unless the loader reads `text` as boxes, and it is written as this package writes it."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "boxes.txt"
        path.write_text(text, encoding="utf-8", newline="")
        rows = read_rows(path)
    written = [format_row(row.frame, row.object_id or "0", row.box, row.label) for row in rows]
    if not rows or written != text.splitlines(keepends=True):
        raise InputError("the page sent boxes in a form that this project does not write; load it again")


def jpeg(frame: np.ndarray) -> bytes:
    """A frame (H, W, 3) uint8 RGB as JPEG."""
    return cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
