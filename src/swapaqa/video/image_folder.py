"""A folder of images as a video: which image is which frame.

The number in an image's name says which frame it is, counted from the lowest one. Numbers go on without a gap and
without doubles: after a missing image every later frame would be taken for the one before it, and its box with it.
Names that begin with a dot are no images (macOS writes `._000.jpg` beside `000.jpg`), and files of other kinds beside
images do no harm, unless they are images that are not read.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import overload

import cv2
import numpy as np

from swapaqa.errors import InputError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
OTHER_IMAGES = (".tif", ".tiff", ".heic", ".heif", ".avif", ".gif", ".jp2", ".ppm", ".exr", ".dng")
FILMS = (".avi", ".mp4", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".ts")
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
LONGEST_NUMBER = 12  # digits: beyond are time stamps and checksums


@dataclass(frozen=True, eq=False)
class ImageFolder(Sequence[Path]):
    """The images of a folder by frame: `images[0]` has the lowest number.

    Its length is what the numbers announce, from the lowest to the highest, as a video file announces its frames. Where
    the numbers have a gap, the path is of the image that is missing; who reads calls `refuse_a_gap` first.
    """

    folder: Path
    names: tuple[str, ...]  # in the order of their numbers
    numbers: np.ndarray  # (N,) int64, ascending
    run: int  # which of the numbers in a name counts, see `_split`

    @property
    def first(self) -> int:
        """The lowest number."""
        return int(self.numbers[0])

    def __len__(self) -> int:
        return int(self.numbers[-1]) - self.first + 1

    @overload
    def __getitem__(self, frame: int) -> Path: ...

    @overload
    def __getitem__(self, frame: slice) -> list[Path]: ...

    def __getitem__(self, frame: int | slice) -> Path | list[Path]:
        if isinstance(frame, slice):
            return [self[i] for i in range(*frame.indices(len(self)))]
        if not 0 <= frame < len(self):
            raise IndexError(frame)
        number = self.first + frame
        position = int(np.searchsorted(self.numbers, number))
        if self.numbers[position] == number:
            return self.folder / self.names[position]
        return self.folder / self._named(self.names[position - 1], number)

    def _named(self, like: str, number: int) -> str:
        parts = re.split(r"(\d+)", like)
        parts[self.run] = str(number).zfill(len(parts[self.run]))
        return "".join(parts)

    def refuse_a_gap(self) -> None:
        """Raises InputError naming the folder and the first image that is missing."""
        if self._gap is not None:
            before, after = self.names[self._gap], self.names[self._gap + 1]
            missing = self[int(self.numbers[self._gap]) + 1 - self.first].name
            raise InputError(
                f"{self.folder}: {missing} is missing between {before} and {after}; extract the images again, as after "
                "a gap every frame would be taken for one before it"
            )

    @cached_property
    def _gap(self) -> int | None:
        """The position of the last name before the first gap."""
        steps = np.diff(self.numbers) != 1
        return int(steps.argmax()) if steps.any() else None


def open_folder(folder: Path) -> ImageFolder:
    """The images of `folder`; listed once as long as it does not change.

    Raises:
        InputError: no images, images that are not read, names without a number or of several kinds, two images of one
            number, something that is no regular file, a folder that cannot be listed.
    """
    try:
        return _listed(folder, folder.stat().st_mtime_ns)
    except OSError as error:
        raise InputError(f"{folder}: cannot be listed ({error.strerror})") from error


@lru_cache(maxsize=32)
def _listed(folder: Path, changed: int) -> ImageFolder:  # noqa: ARG001  a folder that changed is listed again
    """Listed once: a competition of MTL-AQA is one folder of up to 290,000 images, asked for by every dive."""
    with os.scandir(folder) as entries:
        visible = [entry for entry in sorted(entries, key=lambda entry: entry.name) if not entry.name.startswith(".")]
    _refuse_other_images(folder, [entry.name for entry in visible])
    images = [entry for entry in visible if entry.name.lower().endswith(IMAGE_SUFFIXES)]
    for entry in images:
        if not (entry.is_file(follow_symlinks=False) or os.path.isfile(entry.path)):  # the first asks no inode
            raise InputError(f"{entry.path}: no regular file (a folder, a pipe or a broken link); remove it")
    return _numbered(folder, sorted(entry.name for entry in images))


def _refuse_other_images(folder: Path, names: Sequence[str]) -> None:
    """Refuse a folder without images by what is in it, and one with images that are not read beside those that are."""
    kinds = Counter(os.path.splitext(name)[1].lower() or "nameless kind" for name in names)
    expected = " ".join(IMAGE_SUFFIXES)
    numbered = [name for name in names if re.search(r"\d", os.path.splitext(name)[0])]
    unread = next((name for name in numbered if name.lower().endswith(OTHER_IMAGES)), None)
    if unread is not None:
        raise InputError(f"{folder}: {unread} is an image of a kind that is not read; convert it to one of {expected}")
    if any(kinds[suffix] for suffix in IMAGE_SUFFIXES):
        return
    if not names:
        raise InputError(f"{folder}: an empty folder; put the video's frames there, as numbered images ({expected})")
    found = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(4))
    raise InputError(f"{folder}: no images ({expected}) in it, but {found}; {_way_out(sorted(names))}")


def _way_out(names: Sequence[str]) -> str:
    """What to do with a folder of `names`, none of which is an image."""
    for name in names:
        if name.lower().endswith(ARCHIVES):
            return f"unpack {name} there"
        if name.lower().endswith(FILMS):
            return f"put {name} in the place of the folder, or name it with its folder in a table of data=videos"
    return "put the video's frames there as numbered images, or remove the folder"


def _numbered(folder: Path, names: Sequence[str]) -> ImageFolder:
    """The names in the order of the one number that changes between them; all else in them is the same."""
    split = [re.split(r"(\d+)", os.path.splitext(name)[0].lower()) for name in names]
    texts = [tuple(parts[::2]) for parts in split]
    _refuse_strays(folder, names, texts)
    first = split[0]
    changing = [run for run in range(1, len(first), 2) if any(int(parts[run]) != int(first[run]) for parts in split)]
    if len(changing) > 1:
        other = next(name for name, parts in zip(names, split, strict=True) if parts[changing[0]] != first[changing[0]])
        raise InputError(
            f"{folder}: several numbers change between the names of the images ({names[0]}, {other}), and one of them "
            "has to be the frame; number the images from 1 on"
        )
    run = changing[0] if changing else len(first) - 2
    order = sorted(range(len(names)), key=lambda i: int(split[i][run]))
    numbers = np.array([int(split[i][run]) for i in order], np.int64)
    ordered = tuple(names[i] for i in order)
    for position in np.flatnonzero(np.diff(numbers) == 0)[:1]:
        raise InputError(
            f"{folder}: {ordered[position]} and {ordered[position + 1]} have the same number; remove one of them"
        )
    return ImageFolder(folder, ordered, numbers, run)


def _refuse_strays(folder: Path, names: Sequence[str], texts: Sequence[tuple[str, ...]]) -> None:
    """Refuse names without a number, with one that is too long, and names unlike the others: copies, covers."""
    for name in names:
        runs = re.findall(r"\d+", os.path.splitext(name)[0])
        if not runs or max(map(len, runs)) > LONGEST_NUMBER:
            problem = f"a number of more than {LONGEST_NUMBER} digits" if runs else "no number"
            raise InputError(
                f"{folder}: {name} has {problem} in its name, so which frame it is cannot be said; rename or remove it"
            )
    (usual, _), *_ = Counter(texts).most_common(1)
    stray = next((name for name, text in zip(names, texts, strict=True) if text != usual), None)
    if stray is not None:
        like = names[texts.index(usual)]
        raise InputError(f"{folder}: {stray} is named unlike {like}; remove it if it is a copy, else rename the images")


def read_images(images: ImageFolder, indices: Sequence[int]) -> Iterator[np.ndarray]:
    """Frames `indices` of a folder, all of which are below its length: (H, W, 3) uint8, RGB, of one size.

    Raises:
        InputError: a gap in the numbers, an image that cannot be read or has another size.
    """
    images.refuse_a_gap()
    size = None
    for index in indices:
        file = images[index]
        try:
            frame = cv2.imread(str(file), cv2.IMREAD_COLOR_RGB)
        except cv2.error:  # announces more pixels than OpenCV takes
            frame = None
        if frame is None:
            raise InputError(f"{file}: not a readable image; extract or download it again")
        size = size or frame.shape
        if frame.shape != size:
            raise InputError(
                f"{file}: {frame.shape[1]}x{frame.shape[0]} pixels, but {images[indices[0]].name} beside it "
                f"has {size[1]}x{size[0]}; all images of a video need one size"
            )
        yield frame
