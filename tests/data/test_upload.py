"""Batches on their way to a device: all columns arrive, and neither queue runs ahead of the other."""

from contextlib import contextmanager

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from swapaqa.batch import Pair, Sample, map_columns
from swapaqa.data import upload as module
from swapaqa.data.upload import Upload
from tests.made_videos import made_sample


def sample(value: int, size: int = 4) -> Sample:
    """Two videos whose bytes are all `value`, and something of their data set."""
    video = torch.full((2, 3, size, size, 3), value, dtype=torch.uint8)  # as it lies in the loader's batch
    return made_sample(video, side={"steps": torch.full((2, 3), value)})


def test_a_cpus_batch_is_left_as_it_is() -> None:
    batch = Pair(sample(1), sample(2))
    moved = Upload()(batch, torch.device("cpu"))
    assert isinstance(moved, Pair)
    assert moved.query.video_id == ["train/0", "train/1"]
    assert torch.equal(moved.exemplar.video, batch.exemplar.video)


class Queue:
    """Stands for a stream of CUDA, and writes down what is asked of it."""

    def __init__(self, name: str, said: list[str]) -> None:
        self.name, self.said = name, said

    def wait_stream(self, other: "Queue") -> None:
        self.said.append(f"{self.name} waits for {other.name}")


def test_the_computation_waits_for_the_copy_and_keeps_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    kept: list[Tensor] = []
    copying, computing = Queue("copy", said), Queue("computation", said)

    @contextmanager
    def inside(queue: Queue):
        said.append(f"into {queue.name}")
        yield
        said.append(f"out of {queue.name}")

    def move(batch: object, device: torch.device) -> object:
        said.append(f"to {device}")
        return batch

    def keep(tensor: Tensor, queue: Queue) -> None:
        assert queue is computing
        kept.append(tensor)

    monkeypatch.setattr(torch.cuda, "Stream", lambda _: copying)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: computing)
    monkeypatch.setattr(torch.cuda, "stream", inside)
    monkeypatch.setattr(module, "move_data_to_device", move)
    monkeypatch.setattr(Tensor, "record_stream", keep)
    batch = Pair(sample(1), sample(2))
    Upload()(batch, torch.device("cuda", 0))
    assert said == ["into copy", "to cuda:0", "out of copy", "computation waits for copy"]
    columns = [column for column in tree_leaves(batch) if isinstance(column, Tensor)]
    assert len(columns) == 28
    assert {id(column) for column in kept} == {id(column) for column in columns}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_every_batch_is_whole_behind_a_busy_device() -> None:
    """Many batches in a row, each freed while the device is still at work on it."""
    device, upload, seen = torch.device("cuda", torch.cuda.current_device()), Upload(), []
    work = torch.rand(2048, 2048, device=device)
    for value in range(100):
        video = upload(map_columns(sample(value, 256), Tensor.pin_memory), device).video
        for _ in range(5):
            work = (work @ work).clamp(0, 1)
        seen.append((video.amin(), video.amax()))
    assert [(int(low), int(high)) for low, high in seen] == [(value, value) for value in range(100)]
