"""Features of clips in files, extracted once by whatever program: where they are, and what is in them.

    <root>/<video_id>.npy | .npz | .pt | .pth | .pkl        (n, D) features of n clips, or one vector (D,)
    <root>.npz | .pt | .pth | .pkl                          one file for all: by id, or rows beside a column of ids

Leading zeros of an id, and its folder, may be left out: `diving/002`, `diving/2`, `002` and `2` are one video as long
as no two videos of a data set share a file. Pickles hold plain values and NumPy arrays, PyTorch's files tensors;
nothing in them is run. What `extract` writes has a manifest beside it (`swapaqa.data.feature_manifest`), and copies of
the training videos under their augmentation in `copies/<number>/`.
"""

import pickle
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch import Tensor

from swapaqa.data.unpickler import load_pickle
from swapaqa.errors import InputError
from swapaqa.files.array_file import read_arrays
from swapaqa.files.foreign_file import shown
from swapaqa.files.tensor_file import load_tensors

SUFFIXES = (".npy", ".npz", ".pt", ".pth", ".pkl")
FEATURE_NAMES = ("feature", "features")
ID_NAMES = ("video", "videos", "id", "ids", "video_id", "name", "names")
COPIES = "copies"
LAYOUT = (
    "data.features.root names a folder with a file a video, <video_id>.npy (.npz, .pt, .pkl), or one file for all; "
    "python -m src.extract writes such a folder"
)
AtTest = Literal["full", "crop"]


@dataclass(frozen=True)
class FeatureFiles:
    """Where the features of a data set are, and how many clips of a video are taken.

    Attributes:
        root: a folder, or one file for all; None where it is not known.
        key: name of the features where a file holds several arrays; None: `feature` or `features`, or the only one.
        length: clips of a training video: of a longer one as many in a row, drawn anew each epoch, and zeros behind a
            shorter one, as GDLT (Xu et al., CVPR 2022) trains. None: as they are, as many of every video.
        at_test: with a `length`, `full`: all clips of a video, as GDLT tests; `crop`: the middle ones, or zeros.
        copies: how many of the copies of the training videos are drawn from; None: all that the manifest names.
    """

    root: str | None
    key: str | None = None
    length: int | None = None
    at_test: AtTest = "full"
    copies: int | None = None

    def __post_init__(self) -> None:
        if self.length is not None and self.length < 1:
            raise InputError(f"data.features.length={self.length}: at least 1, or null for all clips")
        if self.copies is not None and self.copies < 0:
            raise InputError(f"data.features.copies={self.copies}: at least 0, or null for all that there are")

    @property
    def place(self) -> Path:
        """The root as a path. InputError if none was given or nothing is there."""
        if self.root is None:
            raise InputError(f"data.features.root is not set. {LAYOUT}")
        place = Path(self.root).expanduser()
        if not place.exists():
            raise InputError(f"data.features.root={self.root}: no such folder or file. {LAYOUT}")
        return place

    def clips_in_evaluation(self, clips: int) -> int:
        """How many of a video's `clips` an evaluation sees."""
        return self.length if self.length is not None and self.at_test == "crop" else clips

    def find(self, video_id: str, copy: int | None = None) -> Path:
        """The file with a video's features, or with those of one of its copies. InputError if there is none."""
        place = self.place
        if place.is_file():
            return place
        folder = place if copy is None else place / COPIES / str(copy)
        for name in spellings(video_id):
            candidates = [folder / f"{name}{suffix}" for suffix in SUFFIXES]
            if name.endswith(SUFFIXES):
                candidates.insert(0, folder / name)
            for path in candidates:
                if path.is_file():
                    return path
        raise InputError(f"{folder / video_id}.npy: no such file, nor another with its features. {LAYOUT}")

    def read(self, video_id: str, copy: int | None = None) -> np.ndarray:
        """The features of a video: (n, D) float32, writable.

        Raises:
            InputError: there are none, or the file holds none that can be read: another shape, no finite numbers.
        """
        path = self.find(video_id, copy)
        found = self._entry(path, video_id) if path == self.place else self._only(path, load(path))
        array = np.asarray(found)
        if array.dtype.kind not in "fiu":
            raise InputError(f"{path}: the features of {video_id} are {array.dtype} and no numbers")
        if array.ndim == 1:
            array = array[None]
        if array.ndim != 2 or 0 in array.shape:
            raise InputError(
                f"{path}: the features of {video_id} have shape {array.shape}; one vector (D,) or those of n clips "
                "(n, D) are expected: pool maps first"
            )
        array = np.array(array, np.float32)
        if not np.isfinite(array).all():
            raise InputError(f"{path}: the features of {video_id} are not all finite numbers; extract them again")
        return array

    def _only(self, path: Path, content: Any) -> Any:
        """The features among what a video's own file holds."""
        if not isinstance(content, Mapping):
            return content
        for name in (self.key,) if self.key is not None else FEATURE_NAMES:
            if name in content:
                return content[name]
        if self.key is None and len(content) == 1:
            return next(iter(content.values()))
        raise InputError(f"{path}: holds {shown(list(content))}; say which is meant with data.features.key=")

    def _entry(self, path: Path, video_id: str) -> Any:
        """A video's features in one file for all."""
        entries = _entries(str(path), self.key)
        for name in spellings(video_id):
            if name in entries:
                return entries[name]
        raise InputError(f"{path}: has {len(entries)} videos, and {video_id} is none of them; first: {first(entries)}")


def spellings(video_id: str) -> list[str]:
    """The names under which a video's features are looked for, best first."""
    own = video_id.rsplit("/", 1)[-1]
    names = (video_id, without_zeros(video_id), own, without_zeros(own))
    return list(dict.fromkeys(names))


def without_zeros(name: str) -> str:
    """`01_001` as `1_1`."""
    return re.sub(r"(?<!\d)0+(?=\d)", "", name)


def first(names: Mapping[str, Any]) -> str:
    """The first three names, for a message."""
    return ", ".join(list(names)[:3])


def load(path: Path) -> Any:
    """An array, a tensor, or a mapping of them, whatever kind of file it is. InputError where it cannot be read."""
    if path.suffix in (".npy", ".npz"):
        return read_arrays(path)
    if path.suffix == ".pkl" and not zipfile.is_zipfile(path):  # some call so what torch.save wrote
        return load_pickle(path)
    try:
        content = load_tensors(path)
    except pickle.UnpicklingError as error:
        raise InputError(f"{path}: {error}; write it again") from error
    return _plain(content)


def _plain(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {key: _plain(value) for key, value in content.items()}
    return content.detach().float().numpy() if isinstance(content, Tensor) else content


@lru_cache(maxsize=4)
def _entries(path: str, key: str | None) -> Mapping[str, Any]:
    """The features of one file for all, by id; kept in every process that reads them."""
    content = load(Path(path))
    if not isinstance(content, Mapping):
        raise InputError(f"{path}: holds {shown(type(content).__name__)} and no videos by name. {LAYOUT}")
    ids = next((content[name] for name in ID_NAMES if name in content), None)
    if ids is None or np.ndim(ids) != 1:
        return {_name(name): value for name, value in content.items()}
    column = key or next((name for name in FEATURE_NAMES if name in content), None)
    if column is None or column not in content or len(content[column]) != len(ids):
        raise InputError(f"{path}: holds {shown(list(content))}; say which column has the rows with data.features.key=")
    return {_name(name): row for name, row in zip(_values(ids), content[column], strict=True)}


def _values(ids: Any) -> Sequence[Any]:
    values: Sequence[Any] = ids.tolist() if isinstance(ids, np.ndarray) else list(ids)
    return values


def _name(key: Any) -> str:
    """An id as text: of MTL-AQA's and FineDiving's keys (1, 1) the parts with a line between."""
    return "_".join(map(str, key)) if isinstance(key, tuple) else str(key)
