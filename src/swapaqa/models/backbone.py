"""The interface of a backbone: maps or vectors from clips, and what it needs of them."""

from typing import ClassVar

from torch import Tensor, nn

from swapaqa.errors import InputError
from swapaqa.models.normalisation import IMAGENET, Normalisation


class Backbone(nn.Module):
    """Base of all backbones. A network in stages gives `stages`; any other one its own `forward`.

    Attributes:
        feature_size: D, channels of the last map, or length of the vector.
        normalisation: of the bytes, as values; see `swapaqa.models.normalisation`.
        clip_frames, clip_size: the only length and the only rows and columns of a clip that it takes; None: any. Of a
            class, or of one network.
        mixes_clips: whether a clip's feature depends on the other clips of a pass, by something else than BatchNorm.
        middle_stage: name of the stage after which a method looks into it that names none itself (TSA-Net).
        gradcam_layer: name of its last block with rows and columns, for `src.gradcam`; see
            `swapaqa.models.gradcam`.
        gradcam_origin: frame, row and column that this block's first cell is centred on; None: the middle of the
            cell's share.
    """

    feature_size: int
    normalisation: Normalisation = IMAGENET
    clip_frames: int | None = None
    clip_size: int | None = None
    mixes_clips: ClassVar[bool] = False
    middle_stage: str | None = None
    gradcam_layer: ClassVar[str | None] = None
    gradcam_origin: ClassVar[tuple[float, float, float] | None] = None

    def stages(self) -> dict[str, nn.Module]:
        """The parts by name, each of which takes what the one before gives; none of a network that is not cut open."""
        return dict(self.named_children())

    def forward(self, clips: Tensor, after: str | None = None, until: str | None = None) -> Tensor:
        """From clips to maps; cut open at a stage, from clips to the stage's maps and from these to the last ones.

        Args:
            clips: (N, 3, t, h, w) normalised; with `after` what this stage gave.
            after: begin behind this stage.
            until: end with this stage.

        Returns:
            (N, D, t', h', w') maps, or (N, D) vectors of a network that has no maps.

        Raises:
            InputError: no such stage.
        """
        for stage in self._between(after, until):
            clips = stage(clips)
        return clips

    def refuse_other_clips(self, clips: Tensor) -> None:
        """InputError where clips (N, 3, t, h, w) have not the frames or the rows and columns that it takes."""
        frames, rows, columns = clips.shape[2:]
        size = self.clip_size
        if self.clip_frames not in (None, frames) or (size is not None and (rows, columns) != (size, size)):
            keys = (
                f"clips.frames={self.clip_frames}" if self.clip_frames else "",
                f"clips.size={size}" if size else "",
            )
            raise InputError(
                f"{type(self).__name__} does not take clips of {frames} frames of {rows} x {columns}; say "
                f"{' '.join(filter(None, keys))}, or take data.geometry with as many rows and columns"
            )

    def _between(self, after: str | None, until: str | None) -> list[nn.Module]:
        stages = self.stages()
        names = list(stages)
        for name in (after, until):
            if name is not None and not stages:
                raise InputError(f"{type(self).__name__} is not cut open: between its stages there are no maps alone")
            if name is not None and name not in stages:
                raise InputError(f"{type(self).__name__} has no stage {name}; it has {', '.join(names)}")
        first = 0 if after is None else names.index(after) + 1
        last = len(names) if until is None else names.index(until) + 1
        return [stages[name] for name in names[first:last]]
