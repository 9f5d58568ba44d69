"""Clip plans: which frames of a video make its clips, a value of the method (`conf/clips/`).

CoRe, MUSDL and DAE cut 103 frames into ten overlapping clips of 16. CoRe as published ends with frames 86 to 101 and
never sees the last frame; MUSDL, DAE and the default here end with frames 87 to 102 (`last_start`).
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from swapaqa.errors import InputError

SHARE = 6  # of the shortest window whose clips around frames have their full length


@dataclass(frozen=True)
class ClipPlan:
    """The clips of a video, and the size at which the network sees them.

    Attributes:
        frames: of a clip; None: the whole video is one clip.
        stride: frames between two clips.
        last_start: start of the last clip, None for the end of the video; see `clip_starts`.
        size: rows and columns that a clip is resized to, antialiased; None: as they are.
    """

    frames: int | None
    stride: int
    last_start: int | None
    size: int | None

    def __post_init__(self) -> None:
        for key in ("frames", "stride", "size"):
            value = getattr(self, key)
            if value is not None and value < 1:
                raise InputError(f"clips.{key}={value}: at least 1 is needed")
        if self.last_start is not None and self.last_start < 0:
            raise InputError(f"clips.last_start={self.last_start}: clips start at frame 0 or later")

    def length(self, total: int) -> int:
        """Frames of a clip of a video of `total`."""
        return total if self.frames is None else self.frames

    def starts(self, total: int) -> list[int]:
        """First frames of the clips of a video of `total`; see `clip_starts`."""
        return clip_starts(total, self.length(total), self.stride, self.last_start)

    def cut(self, video: Tensor) -> Tensor:
        """(B, C, T, H, W) uint8 -> (B, n, C, frames, h, w) uint8.

        The result lies in memory as frames do, channels last; a clip that is the whole video is not copied where it
        does.
        """
        return self.at(video, self.starts(video.shape[2]))

    def at(self, video: Tensor, starts: list[int]) -> Tensor:
        """As `cut`, of the clips that begin at `starts` only."""
        length, frames = self.length(video.shape[2]), video.movedim(1, -1)  # (B, T, H, W, C)
        if starts == [0] and length == frames.shape[1]:
            clips = frames.contiguous().unsqueeze(1)
        else:
            clips = torch.stack([frames[:, start : start + length] for start in starts], dim=1)
        if self.size is not None and self.resizes(clips.shape[3], clips.shape[4]):
            clips = resized(clips, self.size)
        return clips.movedim(-1, 2)  # from (B, n, frames, h, w, C)

    def resizes(self, rows: int, columns: int) -> bool:
        """Whether clips of this size become those of the plan."""
        return (rows, columns) != (self.size, self.size)

    def cut_boxes(self, boxes: Tensor, size: tuple[int, int]) -> Tensor:
        """Boxes of the clips' frames, as shares of the frame: whatever size the clips have.

        Args:
            boxes: (B, T, 4) x1 y1 x2 y2, inclusive pixel indices.
            size: rows and columns of the frames that they are of.

        Returns:
            (B, n, frames, 4): edges, 0 at the left or top of the frame and 1 at its right or bottom.
        """
        length = self.length(boxes.shape[1])
        cut = torch.stack([boxes[:, start : start + length] for start in self.starts(boxes.shape[1])], dim=1)
        edges = cut + cut.new_tensor([0, 0, 1, 1])  # a pixel ends where the next one begins
        return edges / edges.new_tensor([size[1], size[0], size[1], size[0]])


@dataclass(frozen=True)
class CountedClips(ClipPlan):
    """As many clips of any window: those of the plan, or, where it gives another number, equal steps over the window.

    In equal steps the last clip ends with the window, whatever `last_start`. Frames smaller than `size` stay so.

    Attributes:
        count: of the clips.
    """

    count: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.count < 1:
            raise InputError(f"clips.count={self.count}: at least 1 is needed")

    def resizes(self, rows: int, columns: int) -> bool:
        return self.size is not None and max(rows, columns) > self.size

    def length(self, total: int) -> int:
        return self._fitted(total)[0]

    def starts(self, total: int) -> list[int]:
        return self._fitted(total)[1]

    def _fitted(self, total: int) -> tuple[int, list[int]]:
        """Frames and starts of `count` clips of `total` frames."""
        length = super().length(total)
        if length + (self.last_start or 0) <= total:
            starts = clip_starts(total, length, self.stride, self.last_start)
            if len(starts) == self.count:
                return length, starts
        if total < self.count:
            raise InputError(f"data.frames={total}: too short for clips.count={self.count} clips; take longer windows")
        stride = max((total - 1) // self.count, 1)
        return total - (self.count - 1) * stride, [stride * number for number in range(self.count)]


@dataclass(frozen=True)
class ClipsAround(ClipPlan):
    """A clip around each of `count` frames, which lie evenly from the window's first to its last.

    A clip that would reach over an edge of the window lies at that edge. Of a window shorter than `SHARE` clips a clip
    is as much shorter. `stride` and `last_start` are not used.

    Attributes:
        count: of the clips; None, or more than there are frames: around every frame.
    """

    count: int | None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.count is not None and self.count < 1:
            raise InputError(f"clips.count={self.count}: at least 1, or null for a clip around every frame")

    def length(self, total: int) -> int:
        return min(super().length(total), max(total // SHARE, 1))

    def starts(self, total: int) -> list[int]:
        count, length = min(self.count or total, total), self.length(total)
        middles = (place * (total - 1) // max(count - 1, 1) for place in range(count))
        return [min(max(middle - length // 2, 0), total - length) for middle in middles]


@dataclass(frozen=True)
class ClipsInARow(ClipPlan):
    """As many whole clips as fit, from the first frame on: what remains of the window is not seen."""

    def starts(self, total: int) -> list[int]:
        length = self.length(total)
        last = (total - length) // self.stride * self.stride if self.last_start is None else self.last_start
        return clip_starts(total, length, self.stride, max(last, 0))


@dataclass(frozen=True)
class SpreadClip(ClipPlan):
    """One clip over the whole window: `frames` of T frames at floor(k (T + 1) / frames); `stride` is not used.

    Of 103 frames sixteen at 0, 6, 13, ..., 97, every six and a half.
    """

    def length(self, total: int) -> int:
        return total

    def seen(self, total: int) -> list[int]:
        """The frames of the window that the network sees.

        Raises:
            InputError: there are fewer than it takes.
        """
        frames = total if self.frames is None else self.frames
        if total < frames:
            raise InputError(f"data.frames={total}: fewer than clips.frames={frames}; take longer windows")
        return [place * (total + 1) // frames for place in range(frames)]

    def at(self, video: Tensor, starts: list[int]) -> Tensor:
        return super().at(video[:, :, self.seen(video.shape[2])], starts)

    def cut_boxes(self, boxes: Tensor, size: tuple[int, int]) -> Tensor:
        return super().cut_boxes(boxes[:, self.seen(boxes.shape[1])], size)


class ClipPlans:
    """Several plans of one video, by name; its clip features follow each other in their order."""

    def __init__(self, **plans: ClipPlan) -> None:
        for name, plan in plans.items():
            if not isinstance(plan, ClipPlan):
                raise InputError(f"clips.{name}={plan}: a clip plan is needed, as in conf/clips/full_and_thin.yaml")
        if not plans:
            raise InputError("clips: at least one plan is needed, as in conf/clips/full_and_thin.yaml")
        self.names, self.plans = tuple(plans), tuple(plans.values())


def clip_starts(frames: int, length: int, stride: int, last_start: int | None = None) -> list[int]:
    """First frames of the clips that cover a video: 0, stride, 2 stride, ... and the last possible start.

    Args:
        frames: frames of the video.
        length: frames of a clip.
        stride: frames between two starts.
        last_start: start of the last clip; None means `frames - length`, so that the last frame is seen.

    Raises:
        InputError: the video is shorter than a clip, or `last_start` leaves a clip without its frames.
    """
    if length < 1 or stride < 1:
        raise InputError(f"clips of {length} frames every {stride}: both must be at least 1")
    if frames < length:
        raise InputError(
            f"data.frames={frames}: shorter than a clip of clips.frames={length}; take shorter clips or longer windows"
        )
    last = frames - length if last_start is None else last_start
    if not 0 <= last <= frames - length:
        raise InputError(f"clips.last_start={last}: clips of {length} in {frames} frames start at 0..{frames - length}")
    return [*range(0, last, stride), last]


def resized(clips: Tensor, size: int) -> Tensor:
    """(B, n, t, H, W, C) uint8 -> (B, n, t, size, size, C) uint8: bilinear and antialiased, rounded to bytes."""
    flat = clips.flatten(0, 2).movedim(-1, 1).float()  # (B * n * t, C, H, W)
    small = F.interpolate(flat, size=(size, size), mode="bilinear", antialias=True)
    pixels = small.round().clamp(0, 255).to(torch.uint8).movedim(1, -1).contiguous()
    by_clip: Tensor = pixels.unflatten(0, clips.shape[:3])
    return by_clip
