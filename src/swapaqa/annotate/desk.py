"""What the drawing page works on: the list of videos, the frames of those that are open, and their box files.

Nothing here knows HTTP. Videos are addressed by their ids, never by a path; files are read and written under the
folders that the desk was opened with, and nowhere else.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from swapaqa.annotate.box_file import HAND, TRACKERS, FileChangedError, read_rows, write_text
from swapaqa.annotate.follow import Keyframes, Settings, follow_athlete, follow_detected, labelled_rows
from swapaqa.annotate.formats import darklabel_text, page_format
from swapaqa.annotate.listing import Listed, list_videos, wanted_frames
from swapaqa.annotate.opened_video import Opened, decoded, jpeg, look_through, overlay, packed, unpacked
from swapaqa.annotate.sheet import sheet_path, with_links
from swapaqa.boxes.ledger import ACCEPTED, Ledger, content_digest
from swapaqa.boxes.source import BoxRequest, BoxRow, MaskSource
from swapaqa.boxes.tracks import OUTSIDE
from swapaqa.data.records import Record
from swapaqa.data.source import VideoSource
from swapaqa.errors import InputError

OPEN_VIDEOS = 4  # whose frames are kept in memory as JPEG
WORST = 1000.0  # severity of a video without boxes, for which a table says infinity and JSON has no word


Swap = Callable[[np.ndarray, np.ndarray, float, str], np.ndarray]  # see `Desk`


class ForbiddenError(Exception):
    """Something that the page must not have: a video that is not in the list, a file outside of the folders."""


class Desk:
    """Annotation of one data set.

    Args:
        source: of which lists, files, window, geometry and the form of box files are taken, see `page_format`.
        settings: of the tracker that proposes boxes.
        severities: by video id, from an examination; the list starts with the worst.
        allowed: further folders, for data sets whose videos are links to somewhere else.
        sheets: folder of the contact sheets of that examination.
        swap: of two pictures (2, S, S, 3) uint8 RGB, their boxes (2, 4) or masks (2, S, S) bool, a ratio and a variant
            the training's own swap: the first one with the background of the second, (S, S, 3). Without it the page
            shows the paper's swap of boxes alone.
        masks: the same data set with the masks to be shown, and swapped by in the preview; None for boxes.
    """

    def __init__(
        self,
        source: VideoSource,
        settings: Settings,
        severities: dict[str, float],
        allowed: Sequence[Path] = (),
        sheets: Path | None = None,
        swap: Swap | None = None,
        masks: VideoSource | None = None,
    ) -> None:
        self.source = source
        self.settings = settings
        self.severities = severities
        self.swap = swap
        self.masks = masks
        self.form = page_format(source.boxes)
        self.listed: dict[str, Listed] = {
            video.record.video_id: video._replace(path=self.form.path(source.box_files(video.record)))
            for video in list_videos(source)
        }
        self.folder = source.boxes_folder
        of_masks = [masks.boxes_folder] if masks else []
        self.roots = [folder.resolve() for folder in (source.folder, self.folder, *of_masks, *allowed)]
        self.ledger = Ledger(self.folder)
        actions = dict.fromkeys(video.record.action for video in self.listed.values())
        paths = {action: sheet_path(sheets, action) for action in actions} if sheets else {}
        self.sheets = {action: path for action, path in paths.items() if path.is_file()}
        self.opened: OrderedDict[str, Opened] = OrderedDict()
        self.opening, self.masking, self.writing = threading.Lock(), threading.Lock(), threading.Lock()

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
            "outside": OUTSIDE,
            "hand": HAND,
            "method": self.settings.method,
            "sheets": list(self.sheets),
            "variants": ["paper", "official", "clean"] if self.swap else ["paper"],
            "masks": self.masks is not None,
        }

    def preview(self, shown: Sequence[tuple[str, int, list[float]]], ratio: float, variant: str) -> bytes:
        """The swap of two videos' frames as a JPEG: id, position and box of the own and of the donor's.

        Where there are masks it is the swap by these, and the boxes are not looked at.
        """
        if self.swap is None or len(shown) != 2:
            raise ForbiddenError("no preview of variants")
        geometry = self.source.geometry
        pictures, regions = [], []
        for video_id, position, box in shown:
            frame = decoded(self.frame(video_id, position))
            pictures.append(geometry.crop_frames(frame[None], geometry.centre())[0])
            if self.masks:
                regions.append(geometry.crop_mask(self._mask(video_id, position), geometry.centre()))
            else:
                regions.append(geometry.crop_boxes(np.array([box]), frame.shape[:2], geometry.centre())[0])
        return jpeg(self.swap(np.stack(pictures), np.stack(regions), ratio, variant))

    def mask(self, video_id: str, position: int) -> bytes:
        """The `overlay` of a frame's mask."""
        return overlay(self._mask(video_id, position))

    def _mask(self, video_id: str, position: int) -> np.ndarray:
        opened = self.open(video_id)
        masks = opened.masks
        with self.masking:
            if not masks:
                masks.extend(self._masks_of(self._known(video_id).record, opened))
        if not 0 <= position < len(masks):
            raise ForbiddenError(f"{video_id}: no mask {position}")
        return unpacked(masks[position])

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
            "cuts": opened.cuts,
            "digest": digest,
            "state": self.ledger.state(path),
            "rows": [row_for_page(row) for row in self.form.read(path, opened.size)],
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
        """Write the box file; an empty text means no boxes and removes it. `text` is in DarkLabel's default format.

        Raises:
            InputError: the text is not what the loader reads.
            FileChangedError: the file is not the one with this digest, the last one that the page has read.
        """
        path = self.box_file(video_id)
        content = self.form.write(rows_of(text), self.open(video_id).size) if text else ""
        saved: str | None = None
        with self.writing:
            if content:
                saved = write_text(path, content, digest)
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
        """What the tracker finds around the given keyframes of each athlete: rows for the page.

        Without any keyframe the detector of the settings, if there is one, says who the athletes are.
        """
        want = self.open(video_id).want
        drawn = {name: {frame: np.array(box) for frame, box in keys.items()} for name, keys in athletes.items()}
        if not all(set(keys) <= set(want.indices) for keys in drawn.values()):
            raise ForbiddenError(f"{video_id}: keyframes outside of the window")
        looked = (want.media, want.indices)
        if self.settings.detecting and not any(drawn.values()):
            found = follow_detected(*looked, self.settings, self.source.decoding)
            followed = {str(number): one for number, one in enumerate(found)}
        else:
            followed = {
                n: follow_athlete(*looked, keys, self.settings, self.source.decoding) for n, keys in drawn.items()
            }
        rows = [
            row_for_page(BoxRow(frame, name, label, tuple(box.round(2).tolist()), ""))
            for name, one in followed.items()
            for frame, box, label in labelled_rows(one, self._label(drawn.get(name, {})), drawn.get(name, {}))
        ]
        lost = sum(int((~one.found).sum()) for one in followed.values())
        return {"rows": rows, "lost": lost, "frames": len(want.indices) * len(followed)}

    def _label(self, keyframes: Keyframes) -> str:
        return self.settings.method if keyframes else self.settings.label

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
                self.opened[video_id] = look_through(want, self.source.decoding)
                while len(self.opened) > OPEN_VIDEOS:
                    self.opened.popitem(last=False)
            self.opened.move_to_end(video_id)
            return self.opened[video_id]

    def _masks_of(self, record: Record, opened: Opened) -> list[bytes]:
        if self.masks is None or not isinstance(self.masks.boxes, MaskSource):
            return []
        files, want = self.masks.box_files(record), opened.want
        self.check_place(self.masks.boxes.find(files) or files[0])
        request = BoxRequest(files, opened.size, want.indices, want.media, decoding=self.source.decoding)
        masks = self.masks.boxes.read_masks(request)
        return [packed(mask) for mask in masks]

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


def rows_of(text: str) -> list[BoxRow]:
    """The rows of what the page sends. InputError unless written as this package writes it, each athlete with a box."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "boxes.txt"
        path.write_text(text, encoding="utf-8", newline="")
        rows = read_rows(path)
    athletes, drawn = {row.object_id for row in rows}, {row.object_id for row in rows if row.label != OUTSIDE}
    if darklabel_text(rows) != text or athletes != drawn or not drawn:
        raise InputError("the page sent boxes in a form that this project does not write; load it again")
    return rows
