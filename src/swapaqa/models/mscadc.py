"""MSCADC-MTL (Parmar and Morris, CVPR 2019): one clip of 16 frames over the whole dive, a thin network whose maps keep
rows and columns, and three heads that look at them in growing surroundings: score, attributes, caption.

The context network is that of Yu and Koltun (ICLR 2016). Deviations from the published code, with the way back to it:
those of `swapaqa.models.c3d_avg_mtl`; dropout behind the network draws by video; a batch of one video keeps its axis.
It trains from nothing here: the authors' own starting weights, a split archive, were not at hand
(`backbone.pretrained=` reads a file of the network). `ContextMTL` is the same on clip features, one cell each, of any
backbone: on I3D `model=i3d_mscadc`.
"""

from typing import ClassVar, cast

from torch import Tensor, nn
from torch.nn import functional as F

from swapaqa.batch import Encoded
from swapaqa.models.attributes import CLASSES
from swapaqa.models.batch_norm import BatchNorm3d
from swapaqa.models.c3d import refuse_i3d
from swapaqa.models.captions import CaptionHead, caption_loss
from swapaqa.models.encoder import VideoEncoder
from swapaqa.models.multi_task import CAPTION, MultiTask
from swapaqa.models.sample_dropout import SampleDropout
from swapaqa.models.scorer import Target

FAR = 9  # cells on every side that the context network's convolutions take: 1 + 1 + 2 + 4 + 1
Shape = tuple[int, int, int]  # time, rows, columns


class Context(nn.Module):
    """What all three heads begin with: maps to maps of half the size that know their surroundings.

    Args:
        in_channels: of the maps.
        width: channels between; 12 as published.
    """

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        sizes = (width, 2 * width, 2 * width, 4 * width, 8 * width, 8 * width)
        self.narrow = nn.Conv3d(in_channels, width, 1, padding=1)
        self.convolutions = nn.ModuleList(
            nn.Conv3d(before, after, 3, dilation=dilation)
            for before, after, dilation in zip(sizes, sizes[1:], (1, 1, 2, 4, 1), strict=False)
        )
        self.norms = nn.ModuleList(BatchNorm3d(size) for size in sizes[1:])
        self.join = nn.Conv3d(sizes[-1], width, 1)
        self.join_norm = BatchNorm3d(width)
        self.refine = nn.Conv3d(width, width, 3, padding=1)
        self.refine_norm = BatchNorm3d(width)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, in_channels, t, h, w) -> (N, width, t/2 + 1, h/2 + 1, w/2 + 1), rounded down."""
        wide = F.pad(self.narrow(maps), 6 * [FAR], mode="replicate")
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            wide = F.relu(norm(convolution(wide)))
        joined = F.max_pool3d(F.relu(self.join_norm(self.join(wide))), 2)
        refined: Tensor = F.relu(self.refine_norm(self.refine(joined)))
        return refined


class ScoreReadout(nn.Module):
    """(N, in_channels, t, h, w) -> (N,): the mean over all places (437,065 parameters as published)."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.context = Context(in_channels, width)
        self.read = nn.Conv3d(width, 1, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        score: Tensor = self.read(self.context(maps)).mean(dim=(2, 3, 4)).squeeze(1)
        return score


class AttributeReadout(nn.Module):
    """(N, in_channels, t, h, w) -> logits (N, classes) of each attribute (445,515 parameters as published)."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.context = Context(in_channels, width)
        self.read = nn.ModuleDict({name: nn.Conv3d(width, count, 3, padding=1) for name, count in CLASSES.items()})

    def forward(self, maps: Tensor) -> dict[str, Tensor]:
        seen = self.context(maps)
        return {name: layer(seen).mean(dim=(2, 3, 4)) for name, layer in self.read.items()}


class CaptionReadout(nn.Module):
    """Maps to steps of time that a caption is told from (14,511,059 parameters as published).

    Args:
        in_channels: of the maps.
        places: rows and columns of the maps.
        width: see `Context`.
        words: of the vocabulary.
    """

    def __init__(self, in_channels: int, places: tuple[int, int], width: int, words: int) -> None:
        super().__init__()
        self.context = Context(in_channels, width)
        self.read = nn.Conv3d(width, width, 3, padding=1)
        rows, columns = (max((size + 2) // 2 - 1, 1) for size in places)
        self.caption = CaptionHead(width * rows * columns, words, *CAPTION)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, in_channels, t, h, w) -> (N, steps, D): the greatest value of neighbouring places; one step of t = 2."""
        seen = self.read(self.context(maps))
        pooled = F.max_pool3d(seen, [min(2, size) for size in seen.shape[2:]], stride=1)
        return pooled.movedim(2, 1).flatten(2)


class ContextHeads(nn.Module):
    """The three heads behind one dropout. Arguments as for `CaptionReadout` and `MultiTask`."""

    def __init__(
        self, in_channels: int, places: tuple[int, int], width: int, attributes: bool, captions: bool, words: int
    ) -> None:
        super().__init__()
        self.dropout = SampleDropout(0.5)
        self.score = ScoreReadout(in_channels, width)
        self.attributes = AttributeReadout(in_channels, width) if attributes else None
        self.captions = CaptionReadout(in_channels, places, width, words) if captions else None

    def forward(self, maps: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """(N, in_channels, t, h, w) -> score (N,), logits of each attribute."""
        return self.score(maps), {} if self.attributes is None else self.attributes(maps)


class ContextMTL(MultiTask):
    """The method on any backbone.

    Args:
        width: see `Context`.
        encoder, target, unit, attributes, captions, caption_weight, words: see `MultiTask`.
    """

    couples_batch: ClassVar[bool] = True  # BatchNorm in the heads sees the videos of a batch

    def __init__(
        self,
        encoder: VideoEncoder,
        target: Target,
        unit: float,
        attributes: bool,
        captions: bool,
        caption_weight: float,
        words: int,
        width: int,
    ) -> None:
        self.map_shape: Shape | None = getattr(encoder.network, "map_shape", None)
        self.width = width
        super().__init__(encoder, target, unit, attributes, captions, caption_weight, words)

    def build_head(self, in_features: int, attributes: bool, captions: bool) -> nn.Module:
        time, rows, columns = self.map_shape or (1, 1, 1)
        channels = in_features // (time * rows * columns)
        return ContextHeads(channels, (rows, columns), self.width, attributes, captions, self.words)

    def look(self, videos: Encoded) -> Tensor:
        """(N, C, t, h, w) maps of the one clip; of clip features each is a cell of time. In training with dropout."""
        feature, head = videos.feature, cast(ContextHeads, self.head)
        if self.map_shape is None:
            maps = feature.mT[..., None, None]
        else:
            maps = feature.flatten(0, 1).unflatten(1, (-1, *self.map_shape))
        seen: Tensor = head.dropout(maps)
        return seen

    def read(self, seen: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        found: tuple[Tensor, dict[str, Tensor]] = self.head(seen)
        return found

    def tell(self, seen: Tensor, caption: Tensor) -> Tensor:
        head = cast(ContextHeads, self.head).captions
        assert head is not None
        return caption_loss(head.caption, head(seen), caption)


class MSCADC(ContextMTL):
    """MSCADC-MTL as a method to train. On I3D it is refused: that is `model=i3d_mscadc`."""

    def build_head(self, in_features: int, attributes: bool, captions: bool) -> nn.Module:
        refuse_i3d(self.encoder, "mscadc", "i3d_mscadc", "dilated_c3d")
        return super().build_head(in_features, attributes, captions)
