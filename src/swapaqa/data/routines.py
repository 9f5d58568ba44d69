"""What data sets of routines have in common: videos of minutes, a file or a folder of images each, read whole.

Window. `data.frames` frames spread evenly over the video, its first and last included. Published features are of
consecutive clips of 16 or 32 frames over all of it: `reader=features` reads these, and videos need not be there.

Labels are points as annotated, from 0 to a highest number for each score: what the published code divides by.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from swapaqa.data.footage import Footage
from swapaqa.data.geometry import Window
from swapaqa.data.records import Label, Record
from swapaqa.data.source import VideoSource
from swapaqa.errors import InputError
from swapaqa.video.frames import find_media, frame_count


@dataclass(kw_only=True, eq=False)
class Routines(VideoSource):
    """A data set of routines. `option`: its name in `data=`; `media_folders`: where its videos may lie, best first."""

    option: ClassVar[str]
    media_folders: ClassVar[tuple[str, ...]]

    def score_label(self, record: Record) -> Label:
        return Label(record.score, offset=0.0, factor=1.0)

    def footage(self, record: Record) -> Footage | None:
        return Footage(f"{self.option}/{record.video_id}")

    def names(self, record: Record) -> tuple[str, Sequence[str]]:
        """The folder below a media folder, and the names, best first, under which a video is looked for in it."""
        return "", [record.video_id]

    def media(self, record: Record) -> Path:
        below, names = self.names(record)
        for folder in self.media_folders:
            try:
                return find_media(self.folder / folder / below, names)
            except InputError:  # said below, of all places at once
                continue
        places = ", ".join(folder or "the root" for folder in self.media_folders)
        raise InputError(
            f"{self.folder}: no video of {record.video_id}: neither a folder of images nor a file in {places}; "
            "complete the folder that data.root= names, or say reader=features data.features.root="
        )

    def window(self, record: Record, media: Path) -> Window:  # noqa: ARG002  of a whole file
        return self.window_of_unlisted(media)

    def window_of_unlisted(self, media: Path) -> Window:
        return Window(0, frame_count(media, self.accept_incomplete), down=True)
