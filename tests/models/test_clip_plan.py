"""Clip plans: the published starts, what is cut out of videos and boxes, the size of clips, what is refused."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import hydra
import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from swapaqa.configuration.checking import check
from swapaqa.errors import InputError
from swapaqa.models.clip_plan import ClipPlan, ClipPlans, ClipsAround, CountedClips, clip_starts, resized
from swapaqa.running.checkpoint import evaluation_config
from swapaqa.running.needs import refuse_short_windows
from swapaqa.running.registry import admit
from tests.forked import REPOSITORY
from tests.made_videos import noise, plan

REGULAR = [0, 10, 20, 30, 40, 50, 60, 70, 80]


def test_published_clip_positions() -> None:
    assert clip_starts(103, 16, 10) == [*REGULAR, 87]
    assert clip_starts(103, 16, 10, last_start=86) == [*REGULAR, 86]
    assert clip_starts(106, 16, 10) == [*REGULAR, 90]
    assert clip_starts(16, 16, 10) == [0]
    assert clip_starts(160, 16, 16) == [16 * n for n in range(10)]  # JIGSAWS: no overlap


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], [(16, None, [*REGULAR, 87])]),
        (["model=usdl"], [(16, None, [*REGULAR, 87])]),
        (["clips.last_start=86"], [(16, None, [*REGULAR, 86])]),
        (["experiment=core_as_published", "data.action=diving"], [(16, None, [*REGULAR, 86])]),
        (["clips=ten_of_16"], [(16, None, [*REGULAR, 87])]),
        (["clips=twenty_of_8"], [(8, None, list(range(0, 100, 5)))]),  # TPT: 20 clips, 0 to 95
        (["clips=six_in_a_row"], [(16, 112, [0, 16, 32, 48, 64, 80])]),
        (["clips=whole"], [(103, None, [0])]),
        (["clips=twelve_of_16"], [(16, None, [*range(0, 81, 8), 87])]),
        (["clips=around_frames", "clips.count=null"], [(16, None, [*[0] * 8, *range(88), *[87] * 7])]),
        (["clips=around_frames", "clips.count=5"], [(16, None, [0, 17, 43, 68, 87])]),
        (
            ["clips=full_and_thin"],
            [(16, 112, [*REGULAR, 86]), (16, 112, [0, 12, 24, 36, 48, 60, 72, 84])],
        ),
    ],
    ids=lambda value: " ".join(value) if value and isinstance(value[0], str) else "",
)
def test_each_yaml_gives_the_published_clips(
    words: list[str], expected: list[tuple[Any, ...]], config: Callable[..., DictConfig]
) -> None:
    """Frames, size and starts in a window of 103 frames, also where the command line says another plan."""
    cfg = config(*words, "backbone=tiny")
    plans = hydra.utils.instantiate(cfg.model.encoder).plans
    assert [(one.length(103), one.size, one.starts(103)) for one in plans] == expected
    assert cfg.model.encoder.clips == cfg.clips


OPTIONS = sorted(path.stem for path in (REPOSITORY / "conf" / "clips").glob("*.yaml"))


@pytest.mark.parametrize("name", OPTIONS)
def test_each_yaml_passes_the_check_and_is_admitted_from_a_checkpoint(
    name: str, config: Callable[..., DictConfig]
) -> None:
    cfg = config(f"clips={name}", "model=usdl", "name=x", "logger.save_dir=x", "logger.name=x")
    check(cfg)
    stored = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(stored, dict)
    admitted = admit(stored, "a.ckpt")
    assert admitted["clips"] == admitted["model"]["encoder"]["clips"] == stored["clips"]


def test_evaluation_takes_the_clips_of_the_training_or_of_the_command_line(config: Callable[..., DictConfig]) -> None:
    words = ("boxes=none", "aug=none", "model=usdl", "name=x", "logger.save_dir=x")
    trained = OmegaConf.to_container(config(*words, "clips=twenty_of_8"), resolve=True)
    here = config(*words)
    assert isinstance(trained, dict)
    assert evaluation_config(here, trained, []).model.encoder.clips.frames == 8
    said = evaluation_config(config(*words), trained, ["clips.last_start=90"])
    assert said.model.encoder.clips == said.clips == said.backbone.clips
    assert (said.clips.frames, said.clips.stride, said.clips.last_start) == (8, 5, 90)


def test_a_plan_longer_than_the_window_is_refused_before_training(config: Callable[..., DictConfig]) -> None:
    model, data = hydra.utils.instantiate(config("model=usdl").model), SimpleNamespace(frames=12)
    with pytest.raises(InputError, match=r"data\.frames=12: shorter than a clip of clips\.frames=16") as refused:
        refuse_short_windows(model, data)  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)
    refuse_short_windows(hydra.utils.instantiate(config("model=usdl", "clips=whole").model), data)  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [1, 3, 10, 20])
def test_as_many_clips_of_any_window(count: int) -> None:
    plan_of_many = CountedClips(16, 10, None, None, count)
    for total in range(count, 200):
        starts, length = plan_of_many.starts(total), plan_of_many.length(total)
        assert len(starts) == len(set(starts)) == count
        assert starts[0] == 0
        assert starts[-1] + length == total
        assert length >= max(1, total // count - 1)
    with pytest.raises(InputError, match=rf"data\.frames={count - 1}: too short for clips\.count={count} clips"):
        plan_of_many.starts(count - 1)


def test_ten_clips_are_the_published_ones_where_they_fit_and_what_is_cut() -> None:
    ten = CountedClips(16, 10, None, None, 10)
    assert (ten.starts(103), ten.length(103)) == ([*REGULAR, 87], 16)
    assert (ten.starts(16), ten.length(16)) == (list(range(10)), 7)
    video = noise(2, 16, 4)
    assert torch.equal(ten.cut(video), torch.stack([video[:, :, at : at + 7] for at in range(10)], dim=1))
    boxes = torch.arange(2 * 16 * 4).float().view(2, 16, 4)
    assert ten.cut_boxes(boxes, (1, 1)).shape == (2, 10, 7, 4)
    with pytest.raises(InputError, match=r"clips\.count=0"):
        CountedClips(16, 10, None, None, 0)


def test_another_number_of_clips_than_a_method_takes_is_refused_before_training(
    config: Callable[..., DictConfig],
) -> None:
    data: Any = SimpleNamespace(frames=103)
    small = ("backbone=tiny", "model=hgcn")
    refuse_short_windows(hydra.utils.instantiate(config(*small).model), data)
    model = hydra.utils.instantiate(config(*small, "clips=twenty_of_8").model)
    with pytest.raises(InputError, match=r"clips: 20 of data\.frames=103, and HGCN takes 10; say the plan"):
        refuse_short_windows(model, data)


@pytest.mark.parametrize(
    ("frames", "length", "stride", "last_start", "word"),
    [
        (15, 16, 10, None, "shorter than a clip"),
        (103, 16, 10, 88, "last_start=88"),
        (103, 16, 10, -1, "last_start"),
        (103, 16, 0, None, "at least 1"),
    ],
)
def test_impossible_clips_are_refused(frames: int, length: int, stride: int, last_start: int | None, word: str) -> None:
    with pytest.raises(InputError, match=word):
        clip_starts(frames, length, stride, last_start)


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"frames": 0}, r"clips\.frames=0"),
        ({"stride": -3}, r"clips\.stride=-3"),
        ({"size": 0}, r"clips\.size=0"),
        ({"last_start": -1}, r"clips\.last_start=-1"),
    ],
)
def test_an_impossible_plan_is_one_line(given: dict[str, int], word: str) -> None:
    with pytest.raises(InputError, match=word) as refused:
        plan(**given)
    assert "\n" not in str(refused.value)


def test_plans_are_at_least_one() -> None:
    with pytest.raises(InputError, match="clips: at least one plan"):
        ClipPlans()
    with pytest.raises(InputError, match=r"clips\.thin=8: a clip plan is needed"):
        ClipPlans(thin=8)  # type: ignore[arg-type]


# cutting


@pytest.mark.parametrize("channels_last", [False, True])
def test_cutting_keeps_the_videos_apart(channels_last: bool) -> None:
    video = noise(2, 30, 5) if channels_last else noise(2, 30, 5).contiguous()
    clips = plan(16, 10).cut(video)  # at 0, 10, 14
    assert clips.shape == (2, 3, 3, 16, 5, 5)
    assert clips.dtype == torch.uint8
    for row in range(2):
        for number, start in enumerate((0, 10, 14)):
            torch.testing.assert_close(clips[row, number], video[row, :, start : start + 16], rtol=0, atol=0)
    assert clips.flatten(0, 1).is_contiguous(memory_format=torch.channels_last_3d)


def test_single_clips_are_those_of_the_whole_plan() -> None:
    video, own = noise(2, 30, 8), plan(16, 10, size=5)
    clips = own.cut(video)
    for number, start in enumerate(own.starts(30)):
        torch.testing.assert_close(own.at(video, [start])[:, 0], clips[:, number], rtol=0, atol=0)
    torch.testing.assert_close(own.at(video, [14, 0]), clips[:, [2, 0]], rtol=0, atol=0)


def test_a_clip_that_is_the_whole_video_is_not_copied() -> None:
    video = noise(2, 16, 5)
    for own in (plan(16), plan(None)):
        assert own.cut(video).data_ptr() == video.data_ptr()
        torch.testing.assert_close(own.cut(video)[:, 0], video, rtol=0, atol=0)
    assert plan(16).cut(video.contiguous())[:, 0].is_contiguous(memory_format=torch.channels_last_3d)


@pytest.mark.parametrize("frames", [1, 7, 103])
def test_the_whole_video_is_one_clip_of_any_length(frames: int) -> None:
    whole = plan(None, 1)
    assert whole.length(frames) == frames
    assert whole.starts(frames) == [0]
    assert whole.cut(noise(1, frames, 4)).shape == (1, 1, 3, frames, 4, 4)
    assert whole.cut_boxes(torch.zeros(1, frames, 4), (4, 4)).shape == (1, 1, frames, 4)


# the size of a clip


def by_pillow(frame: Tensor, size: int) -> Tensor:
    """(3, H, W) bytes -> (3, size, size) bytes."""
    picture = Image.fromarray(frame.movedim(0, -1).numpy()).resize((size, size), Image.Resampling.BILINEAR)
    return torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).view(size, size, 3).movedim(-1, 0)


@pytest.mark.parametrize(("height", "width", "size"), [(32, 32, 15), (24, 40, 11), (8, 8, 19)])
def test_clips_are_resized_as_pillow_and_torch_resize_frames(height: int, width: int, size: int) -> None:
    """Antialiased where they get smaller. Torch's result is rounded once; Pillow's weights have 8 bits, and two."""
    generator = torch.Generator().manual_seed(0)
    video = torch.randint(0, 256, (2, 20, height, width, 3), dtype=torch.uint8, generator=generator).movedim(-1, 1)
    clips = plan(16, 4, size=size).cut(video)
    assert clips.shape == (2, 2, 3, 16, size, size)
    assert clips.dtype == torch.uint8
    assert clips.flatten(0, 1).is_contiguous(memory_format=torch.channels_last_3d)
    for number, start in enumerate((0, 4)):
        frames = video[1, :, start : start + 16].movedim(1, 0)  # (t, 3, H, W)
        floats = F.interpolate(frames.double(), (size, size), mode="bilinear", antialias=True)
        exact = (clips[1, number].movedim(1, 0).double() - floats).abs()
        assert exact.max() <= 0.5 + 1e-4  # nothing but rounded to the nearest byte
        pillow = torch.stack([by_pillow(frame, size) for frame in frames]).movedim(0, 1)
        assert (clips[1, number].int() - pillow.int()).abs().max() <= 1


def test_bright_and_dark_stay_what_they_are() -> None:
    for value in (0, 1, 128, 254, 255):
        video = torch.full((1, 3, 4, 9, 9), value, dtype=torch.uint8)
        for size in (4, 9, 20):
            assert plan(4, size=size).cut(video).unique().tolist() == [value]


def test_clips_of_the_size_are_left_as_they_are() -> None:
    video = noise(1, 16, 8)
    assert plan(16, size=8).cut(video).data_ptr() == video.data_ptr()
    wide = video[..., :6]  # of eight rows and six columns
    assert plan(16, size=8).cut(wide).shape[-2:] == (8, 8)
    torch.testing.assert_close(
        resized(wide.movedim(1, -1)[:, None], 8).movedim(-1, 2), plan(16, size=8).cut(wide), rtol=0, atol=0
    )


# boxes


def test_boxes_move_with_their_clips() -> None:
    """Every frame's box says its frame's number: a cut box is that of the frame it was cut with."""
    number = torch.arange(30.0)
    boxes = torch.stack([number, number, number, number], dim=1).expand(2, 30, 4)
    for own in (plan(16, 10), plan(16, 10, last_start=12), plan(5, 7), plan(None)):
        cut = own.cut_boxes(boxes, (100, 100))
        assert cut.shape == (2, len(own.starts(30)), own.length(30), 4)
        video = number.to(torch.uint8).view(1, 1, 30, 1, 1).expand(2, 3, 30, 2, 2)
        frame_of = own.cut(video)[:, :, 0, :, 0, 0].float()  # (B, n, frames)
        torch.testing.assert_close(cut[..., 0], frame_of / 100)
        torch.testing.assert_close(cut[..., 2], (frame_of + 1) / 100)


def test_edges_of_boxes_are_shares_of_the_frame_whatever_the_clip_s_size() -> None:
    """x1 y1 x2 y2 are pixels, the last ones included: the box of all pixels goes from 0 to 1."""
    whole, one, half = [0.0, 0.0, 63.0, 31.0], [10.0, 4.0, 10.0, 4.0], [32.0, 0.0, 63.0, 15.0]
    boxes = torch.tensor([whole, one, half]).expand(1, 3, 4)
    for size in (None, 7, 112):
        shares = plan(3, size=size).cut_boxes(boxes, (32, 64))[0, 0]  # rows, columns
        expected = [[0.0, 0.0, 1.0, 1.0], [10 / 64, 4 / 32, 11 / 64, 5 / 32], [0.5, 0.0, 1.0, 0.5]]
        torch.testing.assert_close(shares, torch.tensor(expected))


def test_a_cut_box_frames_the_pixels_that_it_framed_before() -> None:
    """Painted white in the video, the box is white in the clip, which is half as large, and black around it."""
    video, boxes = torch.zeros(1, 3, 20, 32, 32, dtype=torch.uint8), torch.zeros(1, 20, 4)
    for t in range(20):
        video[:, :, t, 8:16, t : t + 12] = 255
        boxes[:, t] = torch.tensor([t, 8, t + 11, 15])
    own: ClipPlan = plan(8, 6, size=16)
    clips, cut = own.cut(video), own.cut_boxes(boxes, (32, 32)) * 16
    assert own.starts(20) == [0, 6, 12]
    for n, start in enumerate((0, 6, 12)):
        for t in range(0, 8, 2):  # where edges lie between two pixels of the clip
            left, top, right, bottom = (round(float(edge)) for edge in cut[0, n, t])
            assert (left, top, right, bottom) == ((start + t) // 2, 4, (start + t) // 2 + 6, 8)
            inside = clips[0, n, 0, t, top + 1 : bottom - 1, left + 1 : right - 1]  # antialiasing blurs an edge
            outside = clips[0, n, 0, t].clone()
            outside[top - 1 : bottom + 1, max(left - 1, 0) : right + 1] = 0
            assert (inside == 255).all()
            assert (outside == 0).all()


def test_clips_around_frames_lie_within_the_window_and_are_shorter_in_a_short_one() -> None:
    around = ClipsAround(frames=16, stride=1, last_start=None, size=None, count=26)
    for total in (103, 96, 30, 16, 7, 1):
        starts, length = around.starts(total), around.length(total)
        assert length == min(16, max(total // 6, 1))
        assert len(starts) == min(26, total)
        assert starts == sorted(starts)
        assert (starts[0], starts[-1]) == (0, total - length)
        assert around.cut(noise(1, total)).shape[1:4] == (len(starts), 3, length)
    middles = [start + 1 for start in around.starts(16)[1:-1]]
    assert middles == list(range(1, 15))  # a clip of two frames ends with the frame that it is around
    with pytest.raises(InputError, match=r"clips\.count=0: at least 1, or null"):
        ClipsAround(frames=16, stride=1, last_start=None, size=None, count=0)


def test_nine_clips_of_96_frames_are_the_published_ones_and_of_103_as_many() -> None:
    nine = CountedClips(frames=16, stride=10, last_start=80, size=112, count=9)
    assert (nine.length(96), nine.starts(96)) == (16, list(range(0, 81, 10)))
    assert len(nine.starts(103)) == len(nine.starts(16)) == 9
