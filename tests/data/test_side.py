"""What a data set alone knows of a video: from its record to the loss, to the score, and into a checkpoint."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
import pytest
import torch
from omegaconf import DictConfig
from pytorch_lightning import Trainer

from swapaqa.augment.mix import VideoMixup
from swapaqa.augment.swap import ScaledBackgroundSwap
from swapaqa.batch import Pair, channels_first, concatenate, pooled, take_rows, unpooled
from swapaqa.configuration.data_sets import make_source
from swapaqa.data import source
from swapaqa.data.boxes import FixedBoxes
from swapaqa.data.datamodule import VideoData
from swapaqa.data.frame_store import FrameStore
from swapaqa.errors import InputError
from swapaqa.files.tensor_file import load_tensors
from swapaqa.gradcam.maps import batches
from swapaqa.models.tiny import TinyBackbone
from swapaqa.probing.design import lay_out
from swapaqa.running import training
from swapaqa.running.needs import data_sets_with, refuse_missing_sides
from tests.made_videos import encoder, plan
from tests.stepped import Climber, NeedsDives, NeedsWeather, check_side, with_steps

Open = Callable[..., VideoData]
Config = Callable[..., DictConfig]


@pytest.fixture
def open_stepped(aqa7_tree: Callable[..., Path], open_data: Callable[..., Any]) -> Open:
    """`open_stepped(**changes)`: eight training and four test videos, set up."""

    def build(**changes: Any) -> VideoData:
        data = with_steps(open_data(aqa7_tree(train=8), **{"batch_size": 8} | changes))
        data.setup()
        return data

    return build


@pytest.fixture
def climber(config: Config) -> Climber:
    torch.manual_seed(0)
    small = {"encoder": encoder(TinyBackbone(2), plan(8)), "hidden_features": 8, "depth": 3, "voters": 3}
    composed = config("model=core")
    model = hydra.utils.instantiate(composed.model, _target_="tests.stepped.Climber", **small)
    model.optimisation = hydra.utils.instantiate(composed.optim, _convert_="all")
    return model


@pytest.mark.parametrize("workers", [0, 2])
def test_it_is_collated_as_any_column(open_stepped: Open, workers: int) -> None:
    data = open_stepped(voters=3, workers=workers)
    for loader in (data.train_dataloader(), *data.val_dataloader()):
        for batch in loader:
            for sample in batch if isinstance(batch, Pair) else [batch]:
                check_side(sample.side, sample.video_id)


def test_a_reader_that_a_worker_is_sent_holds_nothing_of_the_data_set(open_stepped: Open) -> None:
    data = open_stepped()
    record = data.records()["test"][0]
    sent = pickle.loads(pickle.dumps(data.reader))
    check_side({name: value[None] for name, value in sent.side(record).items()}, [record.video_id])
    assert len(pickle.dumps(data.reader)) < 5000


@pytest.mark.parametrize("augment", [ScaledBackgroundSwap(ratio=1.5), VideoMixup()], ids=type)
def test_it_stays_with_its_video_in_the_augmentation(open_stepped: Open, augment: Any) -> None:
    data = open_stepped(augment=augment, voters=0 if augment.mixes_targets else 3)
    batch = channels_first(next(iter(data.train_dataloader())))
    augmented = data.augmented(batch, epoch=0, step=0)
    for sample in augmented if isinstance(augmented, Pair) else [augmented]:
        check_side(sample.side, sample.video_id)
    for sample in (data.preview().before, data.preview().after):
        check_side(sample.side, sample.video_id)


def test_pools_rows_and_concatenations_keep_it(open_stepped: Open) -> None:
    pair = next(iter(open_stepped(voters=3).train_dataloader()))
    whole = pooled(pair)
    check_side(whole.side, whole.video_id)
    for sample in unpooled(whole):
        check_side(sample.side, sample.video_id)
    for rows in ([5, 0, 15], slice(3, None, 4)):
        chosen = take_rows(whole, rows)
        check_side(chosen.side, chosen.video_id)
        joined = concatenate([chosen, whole])
        check_side(joined.side, joined.video_id)


def test_what_looks_at_single_videos_has_it(open_stepped: Open, climber: Climber) -> None:
    """Grad-CAM's batches of one, and the probe's videos, whatever is done to their pixels."""
    data = open_stepped(voters=2)
    for batch in batches(data, "test", climber, "looking"):
        check_side(batch.side, batch.video_id)
    lay_out(data, FixedBoxes(ratio=1.0, share=0.5, frame="input"), 1.0, 2)
    items = data.items["test"]
    assert len(items) > 4
    for position, item in enumerate(items):
        side = data.reader.read(item, position).side
        check_side({name: value[None] for name, value in side.items()}, [item.record.video_id])


def trained(model: Climber, data: VideoData, folder: Path) -> Trainer:
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, use_distributed_sampler=False, default_root_dir=folder,
    )  # fmt: skip
    trainer.fit(model, datamodule=data)
    return trainer


def test_losses_and_scores_see_it_and_a_checkpoint_keeps_that_of_its_exemplars(
    open_stepped: Open, climber: Climber, tmp_path: Path
) -> None:
    data = open_stepped(voters=3, augment=ScaledBackgroundSwap(ratio=1.5), batch_size=4)
    climber.learn_scale(data.training_labels())
    climber.store_exemplars = True
    refuse_missing_sides(climber, data.source)
    trained(climber, data, tmp_path)
    train, test = ([record.video_id for record in data.records()[split]] for split in ("train", "test"))
    assert sorted(climber.lost) == sorted(train)
    assert sorted(climber.scored) == sorted(test)
    assert climber.voting == train  # by position
    content: dict[str, Any] = {"state_dict": climber.state_dict(), "epoch": 0}
    climber.on_save_checkpoint(content)
    torch.save(content, tmp_path / "kept.ckpt")
    read = load_tensors(tmp_path / "kept.ckpt")
    exemplars, climber.exemplars = climber.exemplars, None
    climber.on_load_checkpoint(read)
    assert climber.exemplars is not None
    check_side(climber.exemplars.side, climber.exemplars.video_id)
    videos = climber.eval().encode(channels_first(next(iter(data.val_dataloader()[-1]))))
    with torch.no_grad():
        found, expected = climber.score(videos, climber.exemplars), climber.score(videos, exemplars)
    assert torch.equal(found.label, expected.label)


# where it is missing


def test_a_method_that_needs_more_names_the_data_sets_that_have_it(
    open_stepped: Open, open_data: Callable[..., Any], config: Config
) -> None:
    small = {"encoder": encoder(TinyBackbone(2), plan(8)), "hidden_features": 8, "depth": 3, "voters": 3}
    make = hydra.utils.instantiate(config("model=core").model, _partial_=True, **small)
    dives, weather = (kind(**make.keywords) for kind in (NeedsDives, NeedsWeather))
    plain, stepped = open_data(None).source, open_stepped().source
    of_stepped = "beside the videos, and Stepped gives steps and height"
    others = "take data=demo or data=demo_3d or data=finediving or data=mtl_aqa"
    for model, asked, line in (
        (dives, plain, f"NeedsDives needs dive beside the videos, and AQA7 gives nothing; {others}"),
        (dives, stepped, f"NeedsDives needs dive {of_stepped}; {others}"),
        (weather, stepped, f"NeedsWeather needs weather {of_stepped}; none of conf/data has it: take one of your own"),
        (weather, plain, "NeedsWeather needs steps and weather beside the videos, and AQA7 gives nothing; none of"),
    ):
        with pytest.raises(InputError) as refused:
            refuse_missing_sides(model, asked)
        assert str(refused.value).startswith(line)
        assert "\n" not in str(refused.value)
    refuse_missing_sides(dives, make_source(config("data=mtl_aqa", "data.root=somewhere").data))


def test_the_data_sets_of_conf_that_have_something() -> None:
    assert list(data_sets_with(["dive"])) == ["demo", "demo_3d", "finediving", "mtl_aqa"]
    assert list(data_sets_with(["dive", "weather"])) == []
    assert len(list(data_sets_with([]))) >= 4


def test_a_training_is_refused_before_a_video_is_read(
    aqa7_tree: Callable[..., Path], config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is a file indexed, or the cache filled, which can take hours."""
    read: list[Any] = []
    monkeypatch.setattr(source, "index_files", lambda *_: read.append("index"))
    monkeypatch.setattr(FrameStore, "fill", lambda *_: read.append("fill"))
    monkeypatch.setattr(FrameStore, "read", lambda *_: read.append("read"))
    cfg = config(
        "model=core", "data=aqa7", "backbone=tiny", f"data.root={aqa7_tree()}", "name=x",
        "logger.save_dir=x", "model._target_=tests.stepped.NeedsDives", "data.frames=16",
    )  # fmt: skip
    with pytest.raises(
        InputError, match=r"needs dive .* take data=demo or data=demo_3d or data=finediving or data=mtl_aqa"
    ):
        training.build(cfg)
    assert read == []


def test_a_method_without_needs_takes_any_data_set(open_data: Callable[..., Any], climber: Climber) -> None:
    climber.needs = ()  # type: ignore[misc]
    refuse_missing_sides(climber, open_data(None).source)
