"""TPT (Bai et al., ECCV 2022): a temporal parsing transformer finds parts, which pairs of videos are compared by.

Pairs, intervals of the difference ("groups"), both directions, decoding and votes are CoRe's (`swapaqa.models.core`),
and so are the deviations of its yaml: borders and differences are rounded to 4 decimals, and a difference at or beyond
the scale's extent belongs to the outermost interval (`experiment=tpt_as_published`: neither). The likelihood, the
squared error and both terms of the attention are returned apart. Dropout draws by video. Not built: on MTL-AQA
the query three frames before its exemplars at test time, and a second voted score that looks at the true interval,
which the code computes and does not use.
"""

from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from swapaqa.batch import Encoded
from swapaqa.models.core import Arithmetic, CoRe
from swapaqa.models.encoder import VideoEncoder
from swapaqa.models.optimisation import BACKBONE
from swapaqa.models.parts import PartComparison, PartDecoder, part_order_losses
from swapaqa.models.sample_dropout import dropout_by_video
from swapaqa.models.score_groups import Edge
from swapaqa.models.scorer import sum_over_processes
from swapaqa.models.tree_loss import contrastive_tree_loss

DEPTH = 5  # of CoRe's tree with as many leaves: 16 intervals


class TPT(CoRe):
    """TPT as a method to train.

    Args:
        encoder: see `Scorer`.
        width, hidden, parts: see `PartDecoder`.
        margin: see `part_order_losses`.
        order_weight, spread_weight: of its two terms.
        edge, decimals, arithmetic, voters, store_exemplars: see `CoRe`.
    """

    def __init__(  # noqa: PLR0913  one parameter for each key of the yaml
        self,
        encoder: VideoEncoder,
        width: int,
        hidden: int,
        parts: int,
        margin: float,
        order_weight: float,
        spread_weight: float,
        edge: Edge,
        decimals: int | None,
        voters: int | Literal["all"],
        store_exemplars: bool,
        arithmetic: Arithmetic = "float64",
    ) -> None:
        super().__init__(encoder, width, DEPTH, edge, decimals, voters, store_exemplars, arithmetic)
        self.margin, self.order_weight, self.spread_weight = margin, order_weight, spread_weight
        self.decoder = PartDecoder(encoder.feature_size, width, hidden, parts)

    def build_tree(self, in_features: int, hidden_features: int, depth: int) -> nn.Module:  # noqa: ARG002
        return PartComparison(hidden_features, 2 ** (depth - 1))

    def parameter_groups(self) -> dict[str, list[Parameter]]:
        """The two readouts are the head; decoder and pair encoder, `parts`, have a rate of their own."""
        tree = cast(PartComparison, self.tree)
        readouts = [*tree.classify.parameters(), *tree.regress.parameters()]
        parts = [*self.decoder.parameters(), *tree.pair.parameters()]
        return {"head": readouts, "parts": parts, BACKBONE: list(self.encoder.parameters())}

    def represent(self, videos: Encoded) -> Tensor:
        """(N, K, width) parts."""
        feature: Tensor = self.decoder(videos.feature).feature
        return feature

    def pair_input(self, exemplar: Tensor, video: Tensor, exemplar_label: Tensor) -> Tensor:  # noqa: ARG002
        """(P, K, 2 width): parts of the exemplar, parts of the video; its label takes no part."""
        return torch.cat([exemplar, video], dim=-1)

    def losses(self, videos: Encoded, exemplars: Encoded | None) -> dict[str, Tensor]:
        assert exemplars is not None
        position = torch.cat([videos.labels.position, exemplars.labels.position])
        with dropout_by_video(position, self.epoch):  # rows of videos, then of exemplars, in both networks
            parts, attention = self.decoder(torch.cat([videos.feature, exemplars.feature]))
            of_video, of_exemplar = parts.chunk(2)
            (log_prob, offset), delta, groups = self.compare_represented(of_video, of_exemplar, videos, exemplars)
        order, spread = part_order_losses(attention, self.margin)
        terms = contrastive_tree_loss(log_prob, offset, delta, groups, self.edge, self.decimals, sum_over_processes)
        return terms | {"order": self.order_weight * order, "spread": self.spread_weight * spread}
