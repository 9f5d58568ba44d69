"""What any method may learn beside the score: heads on the clips' features, whose losses are added to its own.

Where a data set knows what a dive is or what a commentator said of it, these terms teach the backbone. Nothing of them
is needed to score, and an evaluation has none of them. As C3D-AVG-MTL's heads (`swapaqa.models.c3d_avg_mtl`), but on
the features themselves.
"""

from torch import Tensor, nn

from swapaqa.batch import Encoded
from swapaqa.errors import InputError
from swapaqa.models.attributes import AttributeHeads, attribute_losses
from swapaqa.models.captions import CaptionHead, caption_loss

PREFIX = "auxiliary."  # of its weights in a checkpoint


class AuxiliaryTasks(nn.Module):
    """Heads for attributes and captions.

    Attributes:
        learns_from: names of what it looks for in `side`.

    Args:
        in_features: length of a clip's feature.
        attributes, captions: whether they are learnt.
        attribute_weight, caption_weight: of their terms.
        words, hidden, word_size, dropout: see `CaptionHead`.

    Raises:
        InputError: neither is learnt.
    """

    def __init__(  # noqa: PLR0913  one parameter for each key of the yaml
        self,
        in_features: int,
        attributes: bool,
        captions: bool,
        attribute_weight: float,
        caption_weight: float,
        words: int,
        hidden: int,
        word_size: int,
        dropout: float,
    ) -> None:
        super().__init__()
        if not (attributes or captions):
            raise InputError("auxiliary: says neither attributes=true nor captions=true; leave auxiliary= out")
        self.attribute_weight, self.caption_weight = attribute_weight, caption_weight
        self.attributes = AttributeHeads(in_features) if attributes else None
        self.captions = CaptionHead(in_features, words, hidden, word_size, dropout) if captions else None
        sides = {"dive": attributes, "caption": captions}
        self.learns_from = tuple(name for name, wanted in sides.items() if wanted)

    def forward(self, videos: Encoded) -> dict[str, Tensor]:
        """The weighted scalar terms of N training videos, under names of their own."""
        terms: dict[str, Tensor] = {}
        if self.attributes is not None:
            found = attribute_losses(self.attributes(videos.mean_feature), videos.side["dive"])
            terms |= {f"auxiliary_{name}": self.attribute_weight * term for name, term in found.items()}
        if self.captions is not None:
            told = caption_loss(self.captions, videos.feature, videos.side["caption"])
            terms["auxiliary_caption"] = self.caption_weight * told
        return terms


def without_auxiliary(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a checkpoint that score."""
    return {name: value for name, value in state.items() if not name.startswith(PREFIX)}
