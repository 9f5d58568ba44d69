"""Grad-CAM of a predicted score on the backbone's last block.

Selvaraju et al., "Grad-CAM", ICCV 2017, Eq. (1) and (2), with one more axis: a feature map of a clip has time, rows and
columns. The target is the predicted label, so a map shows what raises the score; what lowers it is cut off by the ReLU,
and a video may have a map that is zero everywhere. The channel weights of Eq. (1) are those of a clip, and the maps of
a video's clips are put together without rescaling, so that its frames can be compared with each other.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from swapaqa.batch import Encoded, Sample
from swapaqa.errors import InputError
from swapaqa.models.clip_plan import ClipPlan
from swapaqa.models.encoder import VideoEncoder
from swapaqa.models.scorer import Scorer, in_points


class Grid(NamedTuple):
    """Where the cells of a clip's map lie in the clip: `cells[i]` along an axis of `size[i]` frames, rows or columns.

    `origin`: the frame, row and column that the first cell is centred on. Strides and padding decide it: the middle of
    a cell's share of the axis is only right for a network without padding on one side.
    """

    cells: tuple[int, int, int]
    size: tuple[int, int, int]
    origin: tuple[float, float, float]

    def weights(self, axis: int) -> Tensor:
        """(size, cells) float32: what each cell counts at each place. Linear between centres, constant beyond."""
        size, cells = self.size[axis], self.cells[axis]
        place = (torch.arange(size) - self.origin[axis]) * (cells / size)  # in cells, from the first centre
        distance = place.clamp(0, cells - 1)[:, None] - torch.arange(cells)
        return (1 - distance.abs()).clamp(min=0)


class Clips(NamedTuple):
    """The clips of one plan."""

    grid: Grid  # of a clip's map, before it is enlarged to the video's rows and columns
    starts: list[int]  # first frames


class Explained(NamedTuple):
    """A video's score and where it comes from."""

    score: float  # predicted, in points
    map: Tensor  # (T, H, W) float32 on the video's device, not negative
    clips: list[Clips]  # of each plan


def grad_cam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Eq. (1), (2): ReLU of the sum of the channels, each weighted by the mean of the target's gradient over its map.

    Args:
        activations: (N, C, t, h, w) feature maps of N clips.
        gradients: the same shape, of the target by them.

    Returns:
        (N, t, h, w), not negative.
    """
    weights = gradients.mean(dim=(2, 3, 4), keepdim=True)  # (N, C, 1, 1, 1)
    return (weights * activations).sum(dim=1).relu()


def enlarge(maps: Tensor, grid: Grid) -> Tensor:
    """Maps (N, *cells) -> (N, *size), trilinear between the centres of the cells."""
    for axis in range(3):
        maps = torch.tensordot(maps, grid.weights(axis).to(maps), dims=([1], [1]))  # the axis becomes the last
    return maps


def join_clips(maps: Sequence[Tensor], starts: Sequence[Sequence[int]], frames: int) -> Tensor:
    """The maps of overlapping clips as one: in every frame the mean over the clips that cover it.

    Args:
        maps: (n, L, H, W) of the clips of one video, of each plan.
        starts: first frames of these clips, as `clip_starts` gives them.
        frames: T, of the video.

    Returns:
        (T, H, W); 0 in frames that no clip covers, which the network does not see.
    """
    total = maps[0].new_zeros(frames, *maps[0].shape[2:])
    covered = total.new_zeros(frames)
    for of_plan, firsts in zip(maps, starts, strict=True):
        for clip, start in zip(of_plan, firsts, strict=True):
            total[start : start + len(clip)] += clip
            covered[start : start + len(clip)] += 1
    return total / covered.clamp(min=1)[:, None, None]


def mass_share(found: Tensor, inside: Tensor) -> float:
    """The part of a map's sum that lies where `inside` is true, in [0, 1]; NaN where the map is zero everywhere.

    A map that is the same everywhere has the share of `inside` in the volume: `inside.float().mean()`.

    Args:
        found: (T, H, W), not negative.
        inside: (T, H, W) bool.
    """
    mass = found.double()
    return float((mass * inside).sum() / mass.sum())  # 0 / 0 is NaN


def through_grid(inside: Tensor, clips: Sequence[Clips]) -> Tensor:
    """What a map would be that knew `inside` as well as its grid allows: averaged around each cell, and enlarged again.

    Its `mass_share` is what to measure a map's by: on a coarse grid no map keeps to a small box.

    Args:
        inside: (T, H, W) bool.
        clips: of each plan, with the grid of its maps.

    Returns:
        (T, H, W) float32.
    """
    maps = [enlarge(downsampled(inside, grid, starts), grid) for grid, starts in clips]
    return join_clips(maps, [starts for _, starts in clips], len(inside))


def downsampled(inside: Tensor, grid: Grid, starts: Sequence[int]) -> Tensor:
    """(T, H, W) -> (n, *cells): the share of `inside` around each cell of each clip."""
    cells = torch.stack([inside[start : start + grid.size[0]] for start in starts]).float()  # (n, L, H, W)
    for axis in range(3):
        weights = grid.weights(axis).to(cells)
        cells = torch.tensordot(cells, weights / weights.sum(dim=0), dims=([1], [0]))
    return cells


def gradcam_layer(network: nn.Module) -> nn.Module:
    """The block whose maps are looked at, which a network names itself.

    Raises:
        InputError: it names none, or one that it does not have.
    """
    kind, name = type(network).__name__, getattr(network, "gradcam_layer", None)
    if name is None:
        raise InputError(
            f"{kind} does not say which of its blocks to look at: give the class an attribute with the name of its "
            'last block with rows and columns, like gradcam_layer = "layers.3"'
        )
    try:
        return network.get_submodule(name)
    except AttributeError as error:
        raise InputError(f"{kind}.gradcam_layer = {name!r}: it has no such block ({error})") from error


@contextmanager
def captured_output(layer: nn.Module) -> Iterator[list[Tensor]]:
    """Within it, collects what `layer` gives out, as leaves of the graph of all that is computed from them."""
    found: list[Tensor] = []

    def keep(_: nn.Module, __: Any, output: Tensor) -> Tensor:
        found.append(output.detach().requires_grad_())
        return found[-1].clone()  # what follows may write in place

    handle = layer.register_forward_hook(keep)
    try:
        yield found
    finally:
        handle.remove()


def explain(scorer: Scorer, video: Sample, exemplars: Encoded | None) -> Explained:
    """The predicted score of one video and the map of it. Nothing of `scorer` changes.

    Args:
        scorer: in eval mode. Its weights should not ask for gradients, else those of the layers before are kept too.
        video: a batch of one, on the device of `scorer`, as after the transfer.
        exemplars: the encoded training videos by position, for methods that vote.

    Raises:
        InputError: the network names no layer, or the method gives nothing that can be differentiated by it.
    """
    encoder = scorer.encoder
    with torch.enable_grad(), captured_output(gradcam_layer(encoder.network)) as outputs:
        encoded = scorer.encode(video)
        target = scorer.differentiable_label(encoded, exemplars)
    gradients = _gradients(target, outputs, scorer)
    with torch.no_grad():
        score = in_points(scorer.score(encoded, exemplars), encoded).label
        frames, height, width = video.video.shape[2:]
        maps = split_by_plan(
            [grad_cam(*pair).float() for pair in zip(outputs, gradients, strict=True)], encoder, frames
        )
        clips = [
            Clips(grid_of(encoder, plan, of_plan.shape[1:], (frames, height, width)), plan.starts(frames))
            for plan, of_plan in zip(encoder.plans, maps, strict=True)
        ]
        enlarged = [enlarge(of_plan, grid) for of_plan, (grid, _) in zip(maps, clips, strict=True)]
        return Explained(float(score), join_clips(enlarged, [starts for _, starts in clips], frames), clips)


def split_by_plan(maps: Sequence[Tensor], encoder: VideoEncoder, frames: int) -> list[Tensor]:
    """The maps of a video's clips (n, t, h, w) by plan, from those of the passes, which follow each other."""
    passes, found = list(maps), []
    for plan in encoder.plans:
        count, parts = len(plan.starts(frames)), list[Tensor]()
        while sum(map(len, parts)) < count:
            parts.append(passes.pop(0))
        found.append(torch.cat(parts))
    return found


def grid_of(encoder: VideoEncoder, plan: ClipPlan, cells: Sequence[int], size: tuple[int, int, int]) -> Grid:
    """Where `cells` (t, h, w) of the network's layer lie in the clips of a video of `size` (T, H, W).

    A network says it by `gradcam_origin`, in pixels of what it sees; else the first cell is centred on the middle of
    its share of each axis.
    """
    t, h, w = cells
    whole = (plan.length(size[0]), *size[1:])
    middle = (whole[0] / t / 2 - 0.5, whole[1] / h / 2 - 0.5, whole[2] / w / 2 - 0.5)
    origin = getattr(encoder.network, "gradcam_origin", None)
    if origin is None:
        return Grid((t, h, w), whole, middle)
    enlarged = [1.0 if plan.size is None else side / plan.size for side in size[1:]]
    rows, columns = ((place + 0.5) * times - 0.5 for place, times in zip(origin[1:], enlarged, strict=True))
    return Grid((t, h, w), whole, (origin[0], rows, columns))


def _gradients(target: Tensor, outputs: Sequence[Tensor], scorer: Scorer) -> tuple[Tensor, ...]:
    kind = type(scorer.encoder.network).__name__
    if not outputs or any(output.dim() != 5 for output in outputs):
        shapes = [tuple(output.shape) for output in outputs]
        raise InputError(f"{kind}.gradcam_layer: maps of (clips, channels, t, h, w) are needed, and it gives {shapes}")
    found: tuple[Tensor | None, ...] = (None,)
    if target.requires_grad:
        found = torch.autograd.grad(target.sum(), outputs, allow_unused=True)
    if any(gradient is None for gradient in found):
        raise InputError(
            f"the score of {type(scorer).__name__} has no gradient by {kind}.gradcam_layer: let the method's "
            "differentiable_label give a score that has one"
        )
    return tuple(gradient for gradient in found if gradient is not None)
