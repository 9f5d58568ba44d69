"""What every network of single frames has in common as a backbone of clips."""

from torch import Tensor, nn

from swapaqa.models.backbone import Backbone


class FrameBackbone(Backbone):
    """A 2-D network over every frame of a clip by itself: (N, 3, t, h, w) -> (N, D, t, h', w').

    Its stages take and give maps of frames, (N t, C, h, w); cut open it takes and gives those of clips.
    """

    gradcam_layer = "maps"

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Identity()  # of the whole clip: what Grad-CAM looks at

    def stages(self) -> dict[str, nn.Module]:
        return {name: part for name, part in self.named_children() if name != "maps"}

    def forward(self, clips: Tensor, after: str | None = None, until: str | None = None) -> Tensor:
        frames = clips.movedim(2, 1).flatten(0, 1)  # (N t, C, h, w)
        found = self.of_frames(frames, after, until).unflatten(0, (len(clips), clips.shape[2])).movedim(1, 2)
        result: Tensor = found if until else self.maps(found)
        return result

    def of_frames(self, frames: Tensor, after: str | None, until: str | None) -> Tensor:
        """(N t, C, h, w) -> (N t, C', h', w')."""
        return super().forward(frames, after, until)
