"""The encoder of features that were extracted before: nothing is computed, nothing trains."""

from torch import Tensor, nn

from swapaqa.batch import Sample
from swapaqa.errors import InputError
from swapaqa.models.clip_plan import ClipPlan
from swapaqa.models.encoder import VideoEncoder


class Extracted(nn.Identity):
    """Stands where a network would.

    Args:
        feature_size: D.
    """

    def __init__(self, feature_size: int) -> None:
        super().__init__()
        self.feature_size = feature_size


class FeatureEncoder(VideoEncoder):
    """Hands on the features that stand in a sample's pixels, see `swapaqa.data.feature_reader`.

    Args:
        feature_size: D; None: of the first training video, which whoever makes it has to look up.

    Raises:
        InputError: nobody looked it up.
    """

    def __init__(self, feature_size: int | None) -> None:
        nn.Module.__init__(self)
        if feature_size is None:
            raise InputError(
                "backbone=features: takes the features of a data set that has them; say data=features data.root=..., "
                "or reader=features data.features.root=..."
            )
        self.network = Extracted(feature_size)
        self.feature_size, self.plans = feature_size, tuple[ClipPlan, ...]()
        self.freeze_bn, self.learning_rate, self.clips_per_pass = False, None, None

    def forward(self, videos: Sample) -> Tensor:
        """A batch of features (B, D, n, 1, 1) -> (B, n, D)."""
        if videos.video.shape[1] != self.feature_size or videos.video.shape[3:] != (1, 1):
            raise InputError(
                f"backbone=features: features of {self.feature_size} numbers are expected, and the data have "
                f"{tuple(videos.video.shape[1:])}; say reader=features with data.features.root= of the same backbone"
            )
        return videos.video.flatten(2).mT


ENCODER = f"{FeatureEncoder.__module__}.{FeatureEncoder.__qualname__}"  # as a configuration names it
