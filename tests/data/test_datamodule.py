"""From records to augmented batches: what acts when, on what, and in what order."""

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from scipy.io import savemat
from torch import Tensor

from swapaqa.augment.none import NoAugmentation
from swapaqa.augment.swap import ScaledBackgroundSwap
from swapaqa.batch import Pair, Sample
from swapaqa.configuration.data_sets import make_data
from swapaqa.data.boxes import FixedBoxes, NoBoxes
from swapaqa.data.datamodule import VideoData
from swapaqa.data.geometry import Geometry
from swapaqa.data.pooling import describe_shares
from swapaqa.errors import InputError

Open = Callable[..., VideoData]
Tree = Callable[..., Path]


@dataclass
class Recording:
    """An augmentation that inverts every byte and notes what it was given."""

    mixes_targets: ClassVar[bool] = False
    replaces_pixels: ClassVar[bool] = True
    pool: ClassVar[str] = "local"

    shapes: list[tuple[int, ...]] = field(default_factory=list)
    dtypes: list[torch.dtype] = field(default_factory=list)
    drawn: list[int] = field(default_factory=list)

    def draw(self, batch_size: int, generator: torch.Generator) -> int:
        self.drawn.append(int(torch.randint(10**9, (), generator=generator)))
        return batch_size

    def apply(
        self, video: Tensor, boxes: Tensor, targets: dict[str, Tensor], plan: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        assert len(video) == len(boxes) == plan
        self.shapes.append(tuple(video.shape))
        self.dtypes.append(video.dtype)
        return 255 - video, targets

    def replaced_share(self, boxes: Tensor, size: tuple[int, int], plan: int) -> Tensor:  # noqa: ARG002
        return torch.ones(len(boxes))


class Listener(LightningModule):
    """Keeps every batch it is given; trains a single number so that a real Trainer runs."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.trained: list[Any] = []
        self.validated: list[Sample] = []

    def training_step(self, batch: Any) -> Tensor:
        self.trained.append(batch)
        return self.weight * 1.0

    def validation_step(self, batch: Sample, batch_idx: int, dataloader_idx: int = 0) -> None:  # noqa: ARG002
        self.validated.append(batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def train(data: VideoData, folder: Path, epochs: int = 1) -> Listener:
    """What a real Trainer hands to the training and validation steps."""
    listener = Listener()
    trainer = Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        default_root_dir=folder,
    )
    trainer.fit(listener, datamodule=data)
    return listener


def ready(data: VideoData) -> VideoData:
    data.setup()
    return data


def test_augmentation_sees_the_bytes_of_training_batches_only(tmp_path: Path, aqa7_tree: Tree, open_data: Open) -> None:
    recording = Recording()
    listener = train(open_data(aqa7_tree(train=6, test=4), augment=recording), tmp_path)
    assert recording.shapes == [(4, 3, 8, 32, 32), (2, 3, 8, 32, 32)]
    assert set(recording.dtypes) == {torch.uint8}
    assert all((batch.replaced == 1).all() for batch in listener.trained)
    assert all((batch.replaced == 0).all() for batch in listener.validated)
    assert {batch.split[0] for batch in listener.validated} == {"test"}
    assert {batch.video.shape for batch in listener.validated} == {(4, 3, 8, 32, 32)}


def test_augmentation_acts_after_the_transfer_on_what_was_loaded(
    tmp_path: Path, aqa7_tree: Tree, open_data: Open
) -> None:
    root = aqa7_tree()
    plain = train(open_data(root), tmp_path).trained
    inverted = train(open_data(root, augment=Recording()), tmp_path).trained
    for before, after in zip(plain, inverted, strict=True):
        assert before.video_id == after.video_id
        assert torch.equal(255 - before.video, after.video)
        assert torch.equal(before.boxes, after.boxes)


@pytest.mark.parametrize("voters", [0, 3])
def test_batches_do_not_depend_on_the_number_of_workers(
    voters: int, tmp_path: Path, aqa7_tree: Tree, open_data: Open
) -> None:
    root, found = aqa7_tree(), []
    for workers in (0, 2):
        swap = ScaledBackgroundSwap(ratio=1.0)
        listener = train(open_data(root, augment=swap, workers=workers, voters=voters), tmp_path, epochs=2)
        found.append([sample for batch in listener.trained for sample in (batch if voters else (batch,))])
    for alone, parallel in zip(*found, strict=True):
        assert alone.video_id == parallel.video_id
        assert torch.equal(alone.video, parallel.video)
        assert torch.equal(alone.boxes, parallel.boxes)


def test_epochs_differ_in_order_and_placement(tmp_path: Path, aqa7_tree: Tree, open_data: Open) -> None:
    first, second = train(open_data(aqa7_tree(train=4), batch_size=4), tmp_path, epochs=2).trained
    assert sorted(first.video_id) == sorted(second.video_id)
    assert first.video_id != second.video_id
    again = [second.video_id.index(name) for name in first.video_id]
    assert not torch.equal(first.boxes, second.boxes[again])


def test_augmentation_is_drawn_for_every_step_anew(
    tmp_path: Path, aqa7_tree: Tree, open_data: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []
    original = VideoData.augmented

    def noting(self: VideoData, batch: Sample | Pair, epoch: int, step: int) -> Sample | Pair:
        steps.append((epoch, step))
        return original(self, batch, epoch, step)

    monkeypatch.setattr(VideoData, "augmented", noting)
    recording = Recording()
    train(open_data(aqa7_tree(), batch_size=2, augment=recording), tmp_path, epochs=2)
    assert steps == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert len(set(recording.drawn)) == 6


def test_preview_is_what_training_begins_with(tmp_path: Path, aqa7_tree: Tree, open_data: Open) -> None:
    root = aqa7_tree()
    data = ready(open_data(root, augment=ScaledBackgroundSwap(ratio=1.0), voters=3, batch_size=2))
    preview = data.preview()
    listener = train(data, tmp_path)
    videos = torch.cat([sample.video for pair in listener.trained for sample in pair])
    assert torch.equal(preview.after.video, videos)
    assert not torch.equal(preview.before.video, preview.after.video)


def test_pairs_are_augmented_in_one_pool_of_queries_then_exemplars(aqa7_tree: Tree, open_data: Open) -> None:
    recording = Recording()
    data = ready(open_data(aqa7_tree(), augment=recording, voters=3))
    loaded = next(iter(data.train_dataloader()))
    batch = data.augmented(Pair(*(s._replace(video=s.video.movedim(-1, 1)) for s in loaded)), epoch=0, step=0)
    assert recording.shapes == [(8, 3, 8, 32, 32)]
    for before, after in zip(loaded, batch, strict=True):
        assert torch.equal(255 - before.video.movedim(-1, 1), after.video)
        assert (list(before.video_id), list(before.split)) == (after.video_id, after.split)
        assert torch.equal(before.labels.label, after.labels.label)


def test_query_and_exemplar_of_a_pair_differ_and_are_placed_apart(aqa7_tree: Tree, open_data: Open) -> None:
    data = ready(open_data(aqa7_tree(train=2), voters=1, batch_size=2))
    pair = next(iter(data.train_dataloader()))
    assert pair.query.video_id == pair.exemplar.video_id[::-1]  # of two videos, each has the other one
    assert not torch.equal(pair.query.boxes, pair.exemplar.boxes.flip(0))  # the same video, another crop


def test_sample_holds_what_the_record_says(aqa7_tree: Tree, open_data: Open) -> None:
    data = ready(open_data(aqa7_tree(), voters=3))
    batch = next(iter(data.val_dataloader()[-1]))
    records = data.records()["test"]
    assert batch.video.dtype == torch.uint8
    assert batch.video.shape == (4, 8, 32, 32, 3)
    assert batch.boxes.shape == (4, 8, 4)
    known = batch.labels
    assert known.position.tolist() == [0, 1, 2, 3]
    assert list(batch.video_id) == [record.video_id for record in records]
    assert known.score.tolist() == [record.score for record in records]
    assert known.voters.shape == (4, 3)
    assert torch.allclose(known.score, known.offset + known.factor * known.label, atol=1e-12, rtol=0)
    assert {known.score.dtype, known.label.dtype} == {torch.float64}


def test_missing_voters_are_minus_one(aqa7_tree: Tree, open_data: Open) -> None:
    data = ready(open_data(aqa7_tree(train=3), voters=5))
    batch = next(iter(data.val_dataloader()[-1]))
    assert [sorted(row) for row in batch.labels.voters.tolist()] == [[-1, -1, 0, 1, 2]] * 4


def test_training_videos_are_evaluated_only_where_exemplars_vote(aqa7_tree: Tree, open_data: Open) -> None:
    root = aqa7_tree()
    alone = ready(open_data(root)).val_dataloader()
    voting = ready(open_data(root, voters=2)).val_dataloader()
    assert [next(iter(loader)).split[0] for loader in alone] == ["test"]
    assert [next(iter(loader)).split[0] for loader in voting] == ["train", "test"]


def test_boxes_follow_the_athlete_into_the_sample(aqa7_tree: Tree, open_data: Open) -> None:
    data = ready(open_data(aqa7_tree(train=4), geometry=Geometry(40, 64, 40, True, 0.5)))
    for key in [(epoch, position) for epoch in range(3) for position in range(4)]:
        sample = data.training_set()[key]
        for frame, box in zip(sample.video[::3].numpy(), sample.boxes[::3].numpy(), strict=True):
            rows, columns = np.where(frame.min(axis=-1) > 200)  # the bright square of the tree's videos
            if len(columns) and columns.min() > 0 and columns.max() < 39:  # wholly inside the crop
                seen = [columns.min(), rows.min(), columns.max(), rows.max()]
                assert np.abs(box - seen).max() <= 1


def test_fixed_boxes_lie_on_the_input_or_on_the_source(aqa7_tree: Tree, open_data: Open) -> None:
    root = aqa7_tree(train=2, test=2)
    on_input = ready(open_data(root, boxes=FixedBoxes(1.0, 0.8, "input")))
    on_source = ready(open_data(root, boxes=FixedBoxes(1.0, 0.8, "source")))
    box = next(iter(on_input.val_dataloader()[0])).boxes[0, 0]
    assert torch.allclose(box, torch.tensor([3.2, 3.2, 28.8, 28.8]))
    box = next(iter(on_source.val_dataloader()[0])).boxes[0, 0]  # 64x40 source, 32x32 centre crop: left 16, top 4
    assert torch.allclose(box, torch.tensor([6.4 - 16, 4 - 4, 57.6 - 16, 36 - 4]))


def test_val_is_cut_from_train_and_gives_no_exemplar(aqa7_tree: Tree, open_data: Open) -> None:
    data = ready(open_data(aqa7_tree(train=8), val_fraction=0.25, voters=3))
    ids = {split: {record.video_id for record in records} for split, records in data.records().items()}
    assert len(ids["val"]) == 2
    assert not ids["val"] & ids["train"]
    assert len(ids["val"] | ids["train"]) == 8
    assert set(data.bank.ids) == ids["train"]
    assert {record.split for record in data.records()["val"]} == {"val"}
    assert ids["val"] != {
        r.video_id for r in ready(open_data(Path(data.source.root), val_fraction=0.25, seed=3)).records()["val"]
    }


@pytest.mark.parametrize("fraction", [0.01, 0.99])
def test_val_that_takes_nothing_or_everything_is_refused(fraction: float, aqa7_tree: Tree, open_data: Open) -> None:
    with pytest.raises(InputError, match=f"data.val_fraction={fraction}"):
        ready(open_data(aqa7_tree(), val_fraction=fraction))


def test_share_of_replaced_pixels_is_measured_and_too_little_is_refused(aqa7_tree: Tree, open_data: Open) -> None:
    root = aqa7_tree()
    swap = ScaledBackgroundSwap(ratio=1.0)
    data = ready(open_data(root, augment=swap))
    shares = data.check_replaced_share(data.preview())
    assert 0.6 < shares["mean"] == shares["diving"] < 1
    assert describe_shares(shares).count("%") == 2
    covered = ready(open_data(root, augment=swap, boxes=NoBoxes(1.0)))
    with pytest.raises(InputError, match=r"0\.00%.*aug\.ratio"):
        covered.check_replaced_share(covered.preview())
    alone = ready(open_data(root, augment=swap, batch_size=1))
    with pytest.raises(InputError, match=r"data\.batch_size"):
        alone.check_replaced_share(alone.preview())
    none = ready(open_data(root))
    assert none.check_replaced_share(none.preview())["mean"] == 0


def test_preview_has_no_batch_of_one(aqa7_tree: Tree, open_data: Open) -> None:
    recording = Recording()
    ready(open_data(aqa7_tree(train=9), augment=recording, batch_size=7)).preview()
    assert min(shape[0] for shape in recording.shapes) > 1


@pytest.mark.parametrize(
    ("augment", "voters", "expected"),
    [
        (NoAugmentation(), 3, [2, 2, 2, 1]),  # CoRe without the swap
        (NoAugmentation(), 0, [2, 2, 2, 1]),
        (ScaledBackgroundSwap(ratio=1.0), 3, [2, 2, 2, 1]),  # a pair is two videos
        (ScaledBackgroundSwap(ratio=1.0), 0, [2, 2, 3]),
        (ScaledBackgroundSwap(ratio=1.0, pool="global"), 0, [2, 2, 3]),
    ],
)
def test_a_last_batch_of_one_stays_where_nothing_needs_a_second_video(
    augment: Any, voters: int, expected: list[int], aqa7_tree: Tree, open_data: Open
) -> None:
    data = ready(open_data(aqa7_tree(train=7), augment=augment, voters=voters, batch_size=2))
    loader = data.train_dataloader()
    assert len(loader) == len(expected)
    assert [len(keys) for keys in loader.batch_sampler] == expected


def test_core_trains_on_32_batches_of_sync_10m_as_published(config: Callable, tmp_path: Path, real_data: Path) -> None:
    """63 videos, two pairs a batch."""
    (tmp_path / "Split_4").symlink_to(real_data / "aqa7")
    words = ["experiment=core_as_published", "data.action=sync_diving_10m", f"data.root={tmp_path}"]
    data = make_data(config(*words).data)
    data.items["train"] = data.source.read_split("train")  # the lists alone are here
    assert len(data.items["train"]) == 63
    assert len(data._batches(rank=0, world_size=1)) == 32


def test_unreadable_videos_are_left_out_listed_and_warned_about(
    aqa7_tree: Tree, open_data: Open, real_data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = aqa7_tree(frames=32)
    (root / "diving-out" / "003.avi").unlink()
    shutil.copy(real_data / "video" / "corrupted.mp4", root / "diving-out" / "003.mp4")
    with caplog.at_level(logging.WARNING):
        data = ready(open_data(root, frames=32, skip_unreadable=True, voters=2))
    assert [record.video_id for record in data.records()["train"]] == [f"diving/00{i}" for i in (1, 2, 4, 5, 6)]
    assert len(data.skipped) == 1
    assert "003.mp4" in data.skipped[0]
    assert "003.mp4" in caplog.text
    assert set(data.bank.ids) == {record.video_id for record in data.records()["train"]}


def test_nothing_readable_is_an_error(aqa7_tree: Tree, open_data: Open) -> None:
    with pytest.raises(InputError, match=r"no readable video.*needs 99"):
        ready(open_data(aqa7_tree(), frames=99, skip_unreadable=True))


def test_fingerprint_changes_with_a_score(aqa7_tree: Tree, open_data: Open) -> None:
    root = aqa7_tree()
    first, again = ready(open_data(root)).fingerprint(), ready(open_data(root, seed=4)).fingerprint()
    rows = np.array([[1, index, 50.0 + index] for index in range(7, 11)])
    savemat(root / "Split_4" / "split_4_test_list.mat", {"consolidated_test_list": rows})
    assert first == again != ready(open_data(root)).fingerprint()


def test_training_labels_are_those_of_train(aqa7_tree: Tree, open_data: Open) -> None:
    data = ready(open_data(aqa7_tree()))
    labels = data.training_labels()
    expected = [100 * (record.score - 21.6) / 81 for record in data.records()["train"]]
    assert labels.label.tolist() == pytest.approx(expected)
    assert labels.action.tolist() == labels.group.tolist() == [0] * 6
    assert labels.max_label == 100


@pytest.mark.parametrize(
    ("setting", "value"), [("frames", 0), ("batch_size", 0), ("workers", -1), ("voters", -1), ("val_fraction", 1.0)]
)
def test_impossible_settings_are_refused(setting: str, value: float, open_data: Open) -> None:
    with pytest.raises(InputError, match=rf"data\.{setting}={value}"):
        open_data(None, **{setting: value})


def test_missing_files_are_found_before_anything_is_decoded(aqa7_tree: Tree, open_data: Open) -> None:
    root = aqa7_tree()
    (root / "boxes" / "diving" / "009.txt").unlink()
    with pytest.raises(InputError, match=r"009\.txt"):
        ready(open_data(root))
    ready(open_data(root, boxes=FixedBoxes(1.0, 0.8, "input")))  # needs none
    shutil.rmtree(root / "diving-out" / "010")
    with pytest.raises(InputError, match="diving-out/010"):
        ready(open_data(root, boxes=FixedBoxes(1.0, 0.8, "input")))


def test_a_process_with_a_single_video_has_nobody_to_swap_with(
    aqa7_tree: Tree, open_data: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = ready(open_data(aqa7_tree(), augment=Recording(), voters=0, batch_size=4))
    monkeypatch.setattr(data, "rank_and_world_size", lambda: (0, 4))
    with pytest.raises(InputError, match=r"data\.batch_size=4: one video for each of 4 processes.*aug\.pool=global"):
        data.train_dataloader()
    monkeypatch.setattr(data, "rank_and_world_size", lambda: (0, 2))
    assert len(data.train_dataloader()) == 1
    monkeypatch.setattr(data, "rank_and_world_size", lambda: (0, 4))
    monkeypatch.setattr(Recording, "pool", "global")
    assert len(data.train_dataloader()) == 1
