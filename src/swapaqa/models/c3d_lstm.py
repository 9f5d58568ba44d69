"""C3D-LSTM (Parmar and Morris, CVPRW 2017, WACV 2019): an LSTM reads a video's clips, its last state tells the score.

The score is regressed in units of the deviation that its action's scores have. Deviations from the authors' port to
PyTorch, with the way back to them (`experiment=c3d_lstm_as_published`):
- the deviation is that of the training scores; the port has constants (`score_std`), which differ by a few percent;
- all clips that fit are read, six of 103 frames; the port takes 96 frames and leaves out the last of their six clips
  (`data.frames=80`: the same five);
- a video is flipped as a whole; the port's draw flips all frames from a random one on (not built);
- the learning rate is halved every five epochs (`optim.lr_schedule`); the port means to and stops with an error there.
As published C3D is frozen. `ClipLSTM` is the same on any backbone: on I3D `model=i3d_lstm`.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from swapaqa.batch import Encoded, Labels, TrainingLabels
from swapaqa.errors import InputError
from swapaqa.models.c3d import refuse_i3d
from swapaqa.models.encoder import VideoEncoder
from swapaqa.models.scorer import Predicted, Scorer, Target

NO_STD = "model.score_std: of no action; give it for each, as {diving: 14.5}, or null for that of the training scores"


class LSTMHead(nn.Module):
    """An LSTM over the clips and a linear readout of its last state (4,458,753 parameters as published).

    Args:
        in_features: length of a clip's feature.
        hidden: width of the state.
    """

    def __init__(self, in_features: int, hidden: int) -> None:
        super().__init__()
        self.rnn = nn.LSTM(in_features, hidden, batch_first=True)
        self.score = nn.Linear(hidden, 1)

    def forward(self, clips: Tensor) -> Tensor:
        """(N, n, in_features) -> (N,)."""
        states, _ = self.rnn(clips)
        score: Tensor = self.score(states[:, -1]).squeeze(1)
        return score


def std_by_action(labels: TrainingLabels) -> Tensor:
    """The deviation of the training labels of each action, (K,) float64; 1 where they do not differ."""
    of_actions = (labels.label[labels.action == action] for action in range(int(labels.action.max()) + 1))
    found = torch.tensor([own.std(correction=0) if len(own) else 0 for own in of_actions], dtype=torch.float64)
    return torch.where(found > 0, found, 1.0)


class ClipLSTM(Scorer):
    """The method on any backbone.

    Args:
        encoder: see `Scorer`.
        target: what the label should be where the data set knows the difficulty; the data set reads it.
        hidden: see `LSTMHead`.
        score_std: points by action, which the score is divided by, in the order of the data set's actions; None: the
            deviation of the training scores.
        action: of the run, by which `score_std` is looked up; all of them for None or `all`.
    """

    unit: Tensor
    on_c3d: ClassVar[bool] = False  # whether it is refused on I3D

    def __init__(
        self,
        encoder: VideoEncoder,
        target: Target,
        hidden: int,
        score_std: dict[str, float] | None,
        action: str | None = None,
    ) -> None:
        if self.on_c3d:
            refuse_i3d(encoder, "c3d_lstm", "i3d_lstm")
        super().__init__(encoder)
        self.target, self.score_std, self.action = target, score_std, action
        self.scale_given = score_std is not None
        self.register_buffer("unit", torch.ones(1, dtype=torch.float64))  # (K,): points, or labels, of each action
        self.head = LSTMHead(encoder.feature_size, hidden)

    def learn_scale(self, labels: TrainingLabels) -> None:
        self.unit = std_by_action(labels) if self.score_std is None else self._published()

    def _published(self) -> Tensor:
        stds = self.score_std or {}
        chosen = list(stds) if self.action in (None, "all") else [name for name in stds if name == self.action]
        if not chosen:
            raise InputError(NO_STD)
        return torch.tensor([stds[name] for name in chosen], dtype=torch.float64)

    def points_a_unit(self, labels: Labels) -> Tensor:
        """(N,) float64: how many points the network's output counts in."""
        own = self.unit[labels.action]
        return own * labels.factor if self.score_std is None else own

    def losses(self, videos: Encoded, exemplars: Encoded | None) -> dict[str, Tensor]:  # noqa: ARG002  needs none
        labels = videos.labels
        found = self.head(videos.feature)
        target = (labels.offset + labels.factor * labels.label) / self.points_a_unit(labels)
        return {"squared_error": F.mse_loss(found, target.to(found.dtype))}

    def score(self, videos: Encoded, exemplars: Encoded | None) -> Predicted:  # noqa: ARG002  needs none
        """The output in points, as a label. The method does not say how sure it is."""
        labels = videos.labels
        points = self.head(videos.feature).double() * self.points_a_unit(labels)
        label = (points - labels.offset) / labels.factor
        return Predicted(label, torch.full_like(label, torch.nan))


class C3DLSTM(ClipLSTM):
    """C3D-LSTM as a method to train. On I3D it is refused: that is `model=i3d_lstm`. Arguments as for `ClipLSTM`."""

    on_c3d: ClassVar[bool] = True
