"""What a `gradcam.json` has to hold. Keys that are not named here are not looked at."""

from typing_extensions import TypedDict  # pydantic's, before Python 3.12

from swapaqa.files.file_form import Named, Number, Pair, Whole


class Gain(TypedDict):
    """A share of the mass of maps, or what it gained."""

    share: Number | None
    interval: Pair | None


class Share(Gain):
    """A share, and what to compare it with."""

    chance: Number | None
    on_grid: Number | None


class CheckpointMaps(TypedDict):
    """The maps of one checkpoint."""

    videos: Whole
    without_mass: Whole
    box: Share
    scaled_box: Share


class Difference(TypedDict):
    """The maps of the second checkpoint against those of the first."""

    videos: Whole
    box: Gain
    scaled_box: Gain


class SplitMaps(TypedDict):
    """The maps of one split."""

    checkpoints: list[CheckpointMaps]
    difference: Difference | None


class Checkpoint(TypedDict):
    """A checkpoint that was looked at."""

    title: str
    file: str
    epoch: Whole


class Picture(TypedDict):
    """Names of files beside `gradcam.json`."""

    title: str
    strip: str
    film: str


class GradCam(TypedDict):
    """`gradcam.json`."""

    checkpoints: list[Checkpoint]
    boxes: Named
    ratio: Number
    splits: dict[str, SplitMaps]
    pictures: list[Picture]
