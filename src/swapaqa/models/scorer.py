"""The LightningModule that every method shares: encode, lose, score, and evaluate with each video encoded once.

A method is a subclass with two verbs: `losses` of a training batch and `score` of encoded videos. The loops, the
optimiser's two groups, logging and the metrics are here and nowhere else.
"""

from abc import abstractmethod
from collections import defaultdict
from typing import Any, NamedTuple, cast

import torch
from pytorch_lightning import LightningModule
from torch import Tensor
from torch.nn import ModuleDict

from swapaqa.batch import Pair, Sample, TrainingLabels
from swapaqa.metrics import SpearmanById, relative_l2_x100
from swapaqa.models.clips import VideoEncoder


class Encoded(NamedTuple):
    """Videos after the backbone, with all that a method may need to score them."""

    feature: Tensor  # (N, D)
    label: Tensor  # (N,) float64
    score: Tensor  # (N,)
    offset: Tensor  # (N,)
    factor: Tensor  # (N,)
    difficulty: Tensor  # (N,)
    action: Tensor  # (N,) int64
    position: Tensor  # (N,) int64
    voters: Tensor  # (N, V) int64


class Scorer(LightningModule):
    """Base of all methods.

    Args:
        encoder: the backbone with its clips.
        learning_rate: of everything but the backbone.
        backbone_learning_rate: of a pretrained backbone; one that starts from nothing names its own
            (`encoder.learning_rate`), which then wins.
        weight_decay: of both.
    """

    def __init__(
        self, encoder: VideoEncoder, learning_rate: float, backbone_learning_rate: float, weight_decay: float
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.learning_rate = learning_rate
        self.backbone_learning_rate = encoder.learning_rate or backbone_learning_rate
        self.weight_decay = weight_decay
        self.spearman = ModuleDict()
        self._parts: dict[str, list[Encoded]] = defaultdict(list)

    @abstractmethod
    def losses(self, batch: Any) -> dict[str, Tensor]:
        """The scalar terms of the loss of one training batch (`Sample` or `Pair`); their sum is minimised."""

    @abstractmethod
    def score(self, videos: Encoded, exemplars: Encoded | None) -> Tensor:
        """Predicted labels (N,) float64 of encoded `videos`. `exemplars`: the training videos by position."""

    def learn_scale(self, labels: TrainingLabels) -> None:
        """Derive constants from the training labels, before training. They belong into buffers."""

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam with the backbone at its own rate, as CoRe."""
        backbone = list(self.encoder.parameters())
        known = {id(parameter) for parameter in backbone}
        head = [parameter for parameter in self.parameters() if id(parameter) not in known]
        groups = [
            {"params": head, "lr": self.learning_rate, "name": "head"},
            {"params": backbone, "lr": self.backbone_learning_rate, "name": "backbone"},
        ]
        return torch.optim.Adam(groups, weight_decay=self.weight_decay)

    def training_step(self, batch: Sample | Pair) -> Tensor:
        terms = self.losses(batch)
        loss = torch.stack(list(terms.values())).sum()
        query = batch.query if isinstance(batch, Pair) else batch
        values = {f"train/{name}": term.detach() for name, term in terms.items()}
        values["train/replaced_share"] = query.replaced.mean()
        self.log_dict(values, batch_size=len(query.video))
        self.log("train/loss", loss.detach(), prog_bar=True, on_epoch=True, batch_size=len(query.video))
        return loss

    def validation_step(self, batch: Sample, batch_idx: int, dataloader_idx: int = 0) -> None:  # noqa: ARG002
        """Encode; scores follow at the end of the epoch, when all exemplars are there."""
        fields = {name: getattr(batch, name) for name in Encoded._fields if name != "feature"}
        self._parts[batch.split[0]].append(Encoded(feature=self.encoder(batch.video), **fields))

    def on_validation_epoch_end(self) -> None:
        """Score every split but train and log its metrics: `<split>/spearman`, `<split>/relative_l2_x100`."""
        encoded = {split: self._gathered(parts, split) for split, parts in self._parts.items()}
        self._parts.clear()
        exemplars = encoded.pop("train", None)
        for split, videos in encoded.items():
            predicted = videos.offset + videos.factor * self.score(videos, exemplars)  # (N,) points
            self._measure(split, predicted, videos)

    def _measure(self, split: str, predicted: Tensor, videos: Encoded) -> None:
        if split not in self.spearman:
            self.spearman[split] = SpearmanById().to(self.device)
        metric = cast(SpearmanById, self.spearman[split])
        metric.reset()
        metric.update(predicted, videos.score, videos.position)
        _, pred, target = metric.predictions()
        self.log(f"{split}/spearman", metric.compute().float(), prog_bar=True)
        self.log(f"{split}/relative_l2_x100", relative_l2_x100(pred, target).float())

    def _gathered(self, parts: list[Encoded], split: str) -> Encoded:
        """One table of a split. The training videos, in their order, are shared by all processes."""
        whole = Encoded(*(torch.cat(column) for column in zip(*parts, strict=True)))
        if split != "train":
            return whole
        if self.trainer.world_size > 1:
            whole = Encoded(*(column.flatten(0, 1) for column in self.all_gather(whole)))
        first = {int(position): row for row, position in reversed(list(enumerate(whole.position.tolist())))}
        rows = torch.tensor([first[position] for position in sorted(first)], device=whole.position.device)
        return Encoded(*(column[rows] for column in whole))


def predictions(scorer: Scorer) -> dict[str, tuple[Tensor, Tensor, Tensor]]:
    """(position, predicted, true) in points by split, of the last evaluation; every process must call it."""
    return {split: cast(SpearmanById, metric).predictions() for split, metric in scorer.spearman.items()}
