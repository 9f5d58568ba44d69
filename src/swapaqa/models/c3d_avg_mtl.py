"""C3D-AVG-MTL (Parmar and Morris, CVPR 2019): the mean of a video's clips tells its score, the attributes of the dive
and, clip by clip, the commentator's caption.

Attributes and captions are learnt and not needed to score. Deviations from the published code, with the way back to it:
- a word beyond the vocabulary of 5779 teaches nothing: the published numbers go to 5780, where its code stops with an
  error;
- frames are resized by one interpolation; the code draws one of four for every frame (not built);
- dropout draws by video. Captions are not told at test time.
`AverageMTL` is the same on any backbone: on I3D `model=i3d_avg_mtl`.
"""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from swapaqa.models.attributes import AttributeHeads
from swapaqa.models.c3d import FC6, refuse_i3d
from swapaqa.models.captions import CaptionHead, caption_loss
from swapaqa.models.multi_task import CAPTION, MultiTask


class AverageHead(nn.Module):
    """Mean over the clips, a layer of 4096, score and attributes; captions from the clips (58,483,375 parameters).

    Args:
        in_features: length of a clip's feature.
        attributes, captions: whether there are heads for them.
        words: of the vocabulary.
    """

    def __init__(self, in_features: int, attributes: bool, captions: bool, words: int) -> None:
        super().__init__()
        self.fc6 = nn.Linear(in_features, FC6)
        self.score = nn.Linear(FC6, 1)
        self.attributes = AttributeHeads(FC6) if attributes else None
        self.caption = CaptionHead(in_features, words, *CAPTION) if captions else None

    def forward(self, clips: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """(N, n, in_features) -> score (N,), logits of each attribute."""
        feature = F.relu(self.fc6(clips.mean(dim=1)))
        logits = {} if self.attributes is None else self.attributes(feature)
        return self.score(feature).squeeze(1), logits


class AverageMTL(MultiTask):
    """The method on any backbone. Arguments as for `MultiTask`."""

    def build_head(self, in_features: int, attributes: bool, captions: bool) -> nn.Module:
        return AverageHead(in_features, attributes, captions, self.words)

    def read(self, seen: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        found: tuple[Tensor, dict[str, Tensor]] = self.head(seen)
        return found

    def tell(self, seen: Tensor, caption: Tensor) -> Tensor:
        head = cast(AverageHead, self.head).caption
        assert head is not None
        return caption_loss(head, seen, caption)


class C3DAVGMTL(AverageMTL):
    """C3D-AVG-MTL as a method to train. On I3D it is refused: that is `model=i3d_avg_mtl`."""

    def build_head(self, in_features: int, attributes: bool, captions: bool) -> nn.Module:
        refuse_i3d(self.encoder, "c3d_avg_mtl", "i3d_avg_mtl")
        return super().build_head(in_features, attributes, captions)
