"""PECoP's pretext task (Dadashzadeh et al., WACV 2024): which segment of a clip runs at another pace, and at which.

Only the adapters of `swapaqa.models.adapted_i3d` and two linear classifiers learn. Their loss is the sum of two
cross-entropies; as published a clip's feature is a mean of two neighbouring slots of time at a time, and the logits
are means over these (of four slots the weights are 1, 2, 2, 1). Deviations from the authors' program:
- the statistics of BatchNorm stay as they are; theirs drift, as its frozen layers are in training mode
  (`backbone.freeze_bn=false backbone.fold_bn=false`);
- dropout draws by clip, so that 1, 2 and 4 processes learn alike;
- the mean over rows and columns is that of whatever remains, not of 7x7.
"""

from collections.abc import Sequence
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.nn import functional as F

from swapaqa.batch import PaceClip
from swapaqa.errors import InputError
from swapaqa.models.adapted_i3d import AdaptedI3D
from swapaqa.models.batch_norm import batch_norm_settings
from swapaqa.models.encoder import Place, VideoEncoder
from swapaqa.models.i3d_weights import BATCH_NORM_ENTRY
from swapaqa.models.optimisation import BACKBONE, Optimisation
from swapaqa.models.sample_dropout import SampleDropout, dropout_by_video
from swapaqa.models.scorer import CONFIG_KEY, FORMAT, FORMAT_KEY, mean_over_processes

MEASURES = ("loss", "pace_loss", "segment_loss", "pace_accuracy", "segment_accuracy")


class SlotClassifier(nn.Module):
    """Logits of a clip: means over its windows of two slots of time.

    Args:
        in_features: channels of a slot.
        classes: K.
        dropout: of every window of its own.
    """

    def __init__(self, in_features: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.dropout, self.read = SampleDropout(dropout), nn.Linear(in_features, classes)

    def forward(self, slots: Tensor) -> Tensor:
        """(N, in_features, t) -> (N, K)."""
        windows = F.avg_pool1d(slots, min(2, slots.shape[2]), stride=1).mT  # (N, w, in_features)
        logits: Tensor = self.read(self.dropout(windows)).mean(dim=1)
        return logits


class SegmentPace(LightningModule):
    """The pretext task as what Lightning trains.

    Attributes:
        config: the resolved configuration of the run, which its checkpoints carry; None until the recipe sets it.
        optimisation: what trains it; None until the recipe sets it.

    Args:
        encoder: with an adapted I3D. Its clip plan is not used: a sample is one clip.
        paces, segments: classes of the two labels.
        dropout: in front of the classifiers.

    Raises:
        InputError: a backbone without adapters.
    """

    def __init__(self, encoder: VideoEncoder, paces: int, segments: int, dropout: float) -> None:
        super().__init__()
        if not isinstance(encoder.network, AdaptedI3D):
            raise InputError(
                f"backbone: {type(encoder.network).__name__} has no adapters to pretrain; say backbone=i3d_pecop"
            )
        self.encoder = encoder
        encoder.network.requires_grad_(False)
        for adapter in encoder.network.adapters():
            adapter.requires_grad_(True)
        self.pace = SlotClassifier(encoder.feature_size, paces, dropout)
        self.segment = SlotClassifier(encoder.feature_size, segments, dropout)
        self.config: dict[str, Any] | None = None
        self.optimisation: Optimisation | None = None

    def forward(self, video: Tensor) -> tuple[Tensor, Tensor]:
        """Clips (B, 3, T, H, W) uint8 -> logits of the pace (B, paces) and of the segment (B, segments)."""

        def slots(places: Sequence[Place]) -> Tensor:
            maps: Tensor = self.encoder.network(self.encoder.floats(video[[row for row, _ in places]]))
            return maps.mean(dim=(3, 4))

        found = self.encoder.by_clip(slots, len(video), 1).squeeze(1)  # (B, D, t)
        return self.pace(found), self.segment(found)

    def training_step(self, batch: PaceClip) -> dict[str, Tensor]:
        """The loss, and the measures of the batch of all processes in the order of `MEASURES`."""
        with dropout_by_video(batch.position, self.current_epoch):
            pace, segment = (logits.float() for logits in self(batch.video))
        terms = F.cross_entropy(pace, batch.pace), F.cross_entropy(segment, batch.segment)
        right = (accuracy(pace, batch.pace), accuracy(segment, batch.segment))
        loss = terms[0] + terms[1]
        whole = mean_over_processes(dict(zip(MEASURES, (loss, *terms, *right), strict=True)))
        self.log_dict({f"pretext/{name}": value for name, value in whole.items()}, batch_size=len(batch.video))
        self.log("loss", whole["loss"], prog_bar=True, logger=False, batch_size=len(batch.video))
        return {"loss": loss, "measures": torch.stack(list(whole.values()))}

    def configure_optimizers(self) -> Any:
        """What `optim=` describes: the classifiers are the group `head`, the adapters `backbone`."""
        if self.optimisation is None:
            raise InputError("nothing says how to train: set the module's `optimisation`")
        head = [*self.pace.parameters(), *self.segment.parameters()]
        adapters = [parameter for parameter in self.encoder.network.parameters() if parameter.requires_grad]
        groups = {"head": head, BACKBONE: adapters}
        return self.optimisation.configure(groups, self.encoder.learning_rate, self._trainer)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """A checkpoint carries the resolved configuration."""
        checkpoint[CONFIG_KEY], checkpoint[FORMAT_KEY] = self.config, FORMAT

    def backbone_file(self) -> dict[str, Any]:
        """What `backbone.pretrained=` reads: the network's weights, and how its BatchNorm is run."""
        eps, momentum = next(iter(batch_norm_settings(self.encoder.network).values()))
        norm = {BATCH_NORM_ENTRY: torch.tensor([eps, momentum], dtype=torch.float64)}
        return {"state_dict": {key: value.cpu() for key, value in self.encoder.network.state_dict().items()} | norm}


def accuracy(logits: Tensor, label: Tensor) -> Tensor:
    """(N, K), (N,) -> (): the share of the most probable classes that are right."""
    return (logits.argmax(dim=1) == label).float().mean()
