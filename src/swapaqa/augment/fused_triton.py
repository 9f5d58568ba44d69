"""The kernel of `swapaqa.augment.fused`. Importing this module needs Triton.

Memory is what bounds it, so a row of pixels is cut into chunks that one instruction of a thread can write (16 bytes).
Whether a chunk lies inside the scaled box, outside it or across its edge follows from integers before anything is read:
inside, only the own video is read, outside only the donor, across an edge both. Reads are masked by chunk, never by
number, because a mask that changes within a chunk would break it up into single bytes.
"""

# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
# In a kernel an annotation is Triton's own language, and its values are neither Python's nor torch's.

from functools import lru_cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from swapaqa.augment.background import fill_boxes
from swapaqa.augment.fused import Form, times_255
from swapaqa.augment.swap import _check, _colour, pixel_bounds

CHUNK_BYTES = 16  # the widest store of a thread
CHUNKS = 512  # of a program: 4 for each of its 128 threads, so that several reads are under way at once


@triton.jit
def _pick(channel, values: tl.constexpr):
    """The value of each number's channel, without a table in memory."""
    picked = tl.full(channel.shape, values[0], tl.float32)
    for c in tl.static_range(1, len(values)):
        picked = tl.where(channel == c, values[c], picked)
    return picked


@triton.jit
def _span(bounds_ptr, video, frame, frames, y, channels: tl.constexpr):
    """Bounds (B, T, 4) of one frame on the rows y: the first number inside, and how many are (0 above and below)."""
    bounds_ptr += (video * frames + frame) * 4
    left, top = tl.load(bounds_ptr).to(tl.int32), tl.load(bounds_ptr + 1).to(tl.int32)
    right, bottom = tl.load(bounds_ptr + 2).to(tl.int32), tl.load(bounds_ptr + 3).to(tl.int32)
    return left * channels, tl.where((y >= top) & (y < bottom), tl.maximum(right - left, 0) * channels, 0)


@triton.jit
def _inside(ahead, step, length):
    """Of each number of the chunks. One comparison: as unsigned, what lies before the span is far behind it."""
    return (ahead[:, None] + step).to(tl.uint32, bitcast=True) < length.to(tl.uint32, bitcast=True)[:, None]


@triton.jit
def _swap_kernel(  # noqa: PLR0913
    video_ptr,
    background_ptr,  # what donors give: as video, or cleaned of athletes; in the strides of video
    out_ptr,
    own_ptr,  # (B, T, 4) bounds of what is kept
    hole_ptr,  # (B, T, 4) bounds of what is painted in a donor's frame; read where colour is given
    donors_ptr,  # (B,)
    frames,
    height,
    video_stride,
    frame_stride,
    out_video_stride,
    out_frame_stride,
    row: tl.constexpr,  # numbers in a row of pixels, width * channels
    shift: tl.constexpr,
    inverse: tl.constexpr,
    colour: tl.constexpr,  # one number a channel, None to leave the donor's athlete
    starts: tl.constexpr,  # first frames of clips, None for the whole video
    clip_frames: tl.constexpr,
    chunk: tl.constexpr,  # numbers
    chunks: tl.constexpr,
):
    channels: tl.constexpr = len(shift)
    per_row: tl.constexpr = (row + chunk - 1) // chunk
    place, sample = tl.program_id(1).to(tl.int64), tl.program_id(2).to(tl.int64)  # 64 bits: batches pass 2 GB
    donor = tl.load(donors_ptr + sample)
    frame = place  # of the result's frame the one that it shows
    if starts is not None:
        frame = place % clip_frames
        for n in tl.static_range(len(starts)):
            frame += tl.where(place // clip_frames == n, starts[n], 0)

    index = tl.program_id(0) * chunks + tl.arange(0, chunks)
    y, first = index // per_row, index % per_row * chunk  # of each chunk: its row, and where in it the chunk starts
    step = tl.arange(0, chunk)[None, :]
    offsets = (y * row + first)[:, None] + step  # (chunks, chunk) places in the frame
    exists = (y < height)[:, None] & (first[:, None] + step < row)

    start, length = _span(own_ptr, sample, frame, frames, y, channels)
    ahead = first - start  # of each chunk, from the left edge of what is kept
    frame_offset = frame * frame_stride
    reads_own = (ahead < length) & (ahead + chunk > 0)
    reads_donor = (ahead < 0) | (ahead + chunk > length)
    own = tl.load(video_ptr + sample * video_stride + frame_offset + offsets, exists & reads_own[:, None])
    given = tl.load(background_ptr + donor * video_stride + frame_offset + offsets, exists & reads_donor[:, None])

    channel = (first % channels)[:, None] + step % channels
    channel = tl.where(channel >= channels, channel - channels, channel)
    if colour is not None:
        hole_start, hole_length = _span(hole_ptr, donor, frame, frames, y, channels)
        given = tl.where(_inside(first - hole_start, step, hole_length), _pick(channel, colour).to(tl.uint8), given)
    value = tl.where(_inside(ahead, step, length), own, given).to(tl.float32)
    value = (value - _pick(channel, shift)) * _pick(channel, inverse)
    out_ptr += sample * out_video_stride + place * out_frame_stride
    tl.store(out_ptr + offsets, value.to(out_ptr.dtype.element_ty), exists)


@torch.no_grad()
def swap_by_kernel(video: Tensor, boxes: Tensor, donors: Tensor, form: Form) -> Tensor:
    """`swap_and_normalise` for a `video` whose frames are `interleaved`, in one pass (`clean`: after its fill)."""
    _check(video, boxes, donors, form.ratio, form.variant)
    device, official = video.device, form.variant == "official"
    size = (video.shape[3], video.shape[4])
    own = pixel_bounds(boxes, form.ratio, size, truncate=official).to(device, non_blocking=True)
    hole, background, colour = own, video, None
    if form.variant != "paper":
        hole = pixel_bounds(boxes, 1.0, size, truncate=official).to(device, non_blocking=True)
    if official:
        colour = tuple(_colour(form.fill, torch.empty(0, video.shape[1], dtype=torch.uint8)).tolist())
    if form.variant == "clean":
        background = torch.empty_strided(video.shape, video.stride(), dtype=video.dtype, device=device)
        background.copy_(fill_boxes(video, hole, _colour(form.fill, video)))  # whatever its strides, now those of video
    return run_kernel(video, background, own, hole, donors.to(device, non_blocking=True).contiguous(), colour, form)


def run_kernel(
    video: Tensor,
    background: Tensor,
    own: Tensor,
    hole: Tensor,
    donors: Tensor,
    colour: tuple[int, ...] | None,
    form: Form,
) -> Tensor:
    """One launch, with everything on the device of `video`: bounds (B, T, 4) int64 contiguous, donors (B,)."""
    batch, channels, _, height, width = video.shape
    out = _empty_frames(video, form)
    chunk = CHUNK_BYTES // out.element_size()
    grid = (triton.cdiv(height * triton.cdiv(width * channels, chunk), CHUNKS), out.shape[1], batch)
    shift, inverse = _constants(tuple(form.mean), tuple(form.std))
    with torch.cuda.device_of(video):  # Triton launches on the current device
        _swap_kernel[grid](
            video,
            background,
            out,
            own,
            hole,
            donors,
            frames=video.shape[2],
            height=height,
            video_stride=video.stride(0),
            frame_stride=video.stride(2),
            out_video_stride=out.stride(0),
            out_frame_stride=out.stride(1),
            row=width * channels,
            shift=shift,
            inverse=inverse,
            colour=colour,
            starts=None if form.clips is None else tuple(form.clips.starts),
            clip_frames=1 if form.clips is None else form.clips.length,
            chunk=chunk,
            chunks=CHUNKS,
        )
    if form.clips is None:
        return out.movedim(-1, 1)
    return out.unflatten(1, (-1, form.clips.length)).flatten(0, 1).movedim(-1, 1)


@lru_cache
def _constants(mean: tuple[float, ...], std: tuple[float, ...]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """What the kernel subtracts from bytes and multiplies them with, in the float32 that torch has."""
    shift, scale = (tuple(times_255(values).flatten().tolist()) for values in (mean, std))
    return shift, tuple(1 / value for value in scale)


def _empty_frames(video: Tensor, form: Form) -> Tensor:
    """(B, F, H, W, C) for the result, all its frames in the stride order of `video` or, as clips, one after another."""
    if form.clips is None:
        return torch.empty_like(video, dtype=form.dtype).movedim(1, -1)
    batch, channels, _, height, width = video.shape
    frames = len(form.clips.starts) * form.clips.length
    return torch.empty(batch, frames, height, width, channels, dtype=form.dtype, device=video.device)
