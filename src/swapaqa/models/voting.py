"""What methods of pairs have in common: exemplars vote on a video, from features that an evaluation encodes once."""

from abc import abstractmethod
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from swapaqa.batch import Encoded
from swapaqa.errors import InputError
from swapaqa.models.encoder import VideoEncoder
from swapaqa.models.label_scale import ScaledScorer
from swapaqa.models.scorer import Predicted
from swapaqa.models.stored_exemplars import EXEMPLARS_KEY, as_plain
from swapaqa.models.votes import mean_of_some, vote_variance


class VotingScorer(ScaledScorer):
    """A method that scores a video by exemplars with known labels: a subclass says what one of them votes.

    Attributes:
        votes_per_pass: pairs of a video and a voter that are compared at a time.

    Args:
        encoder: see `Scorer`.
        voters: exemplars that vote on a video at evaluation, `all` for every one of its group; the loader draws them.
        store_exemplars: put the training videos' features into checkpoints, which then score without these videos.

    Raises:
        InputError: no voters.
    """

    votes_per_pass: ClassVar[int] = 8192  # 70 MB of I3D's features

    def __init__(self, encoder: VideoEncoder, voters: int | Literal["all"], store_exemplars: bool) -> None:
        super().__init__(encoder)
        if voters != "all" and voters < 1:
            name = type(self).__name__
            raise InputError(f"model.voters={voters}: {name} scores a video by at least one exemplar, or by all")
        self.voters, self.store_exemplars = voters, store_exemplars

    @abstractmethod
    def represent(self, videos: Encoded) -> Tensor:
        """(N, ...) what is compared of N videos."""

    @abstractmethod
    def vote(
        self, feature: Tensor, of_exemplar: Tensor, exemplar_label: Tensor, action: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """(P,) labels by one voter each, and their variances where it has some.

        Args:
            feature, of_exemplar: (P, ...) each, of what `represent` gave.
            exemplar_label: (P,) float64.
            action: (P,) int64, of the video.
        """

    def score(self, videos: Encoded, exemplars: Encoded | None) -> Predicted:
        """The mean of the votes of a video's voters, on stored features. The deviation: see `vote_variance`."""
        if exemplars is None:
            raise InputError(
                f"{type(self).__name__} scores a video by its difference to training videos, and none was encoded"
            )
        voted = videos.labels.voters >= 0  # (N, V), padded where a group is small
        votes, own = self._votes(videos, exemplars, voted)
        return Predicted(mean_of_some(votes, voted), vote_variance(votes, voted, own).sqrt())

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        if self.store_exemplars and self.exemplars is not None:
            checkpoint[EXEMPLARS_KEY] = as_plain(self.exemplars)

    def _votes(self, videos: Encoded, exemplars: Encoded, voted: Tensor) -> tuple[Tensor, Tensor | None]:
        """(N, V) labels as the voters predict them, and the variances (N, V) of these predictions where it has some.

        0 where nobody `voted` (N, V).
        """
        row, column = voted.nonzero(as_tuple=True)  # P votes: of a video, by its voter
        voter = videos.labels.voters[row, column]
        feature, of_exemplar = self.represent(videos), self.represent(exemplars)
        parts = [
            self.vote(feature[one], of_exemplar[by], exemplars.labels.label[by], videos.labels.action[one])
            for one, by in zip(row.split(self.votes_per_pass), voter.split(self.votes_per_pass), strict=True)
        ]
        padded = torch.zeros_like(voted, dtype=torch.float64)
        votes, own = zip(*parts, strict=True)
        variance = None if own[0] is None else padded.index_put((row, column), torch.cat(own))
        return padded.index_put((row, column), torch.cat(votes)), variance
