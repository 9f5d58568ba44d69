"""The loop of one variant of a comparison: a training step, or the encoding of a video, part by part."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, cast

import torch
from lightning_fabric.utilities.apply_func import move_data_to_device
from pytorch_lightning.plugins.precision import Precision
from torch import Tensor

from swapaqa.batch import Pair, Sample, channels_first, map_samples, pooled
from swapaqa.bench.published import PublishedEncoder, published_adam, published_floats
from swapaqa.bench.synthetic import make_batch, make_sample
from swapaqa.running.assembly import assemble

LOAD, TRANSFER, SWAP, BACKBONE = "load", "transfer", "swap + normalise", "backbone forward"
HEAD, BACKWARD, OPTIMISER = "head + loss", "backward", "optimiser"
STEP_PARTS = (LOAD, TRANSFER, SWAP, BACKBONE, HEAD, BACKWARD, OPTIMISER)
NORMALISE = "normalise"  # where nothing is swapped
ENCODING_PARTS = (LOAD, TRANSFER, NORMALISE, BACKBONE)

Batch = Sample | Pair


class Variant(NamedTuple):
    """One of the things that are compared: a configuration, or the published form of its loop."""

    name: str
    overrides: tuple[str, ...]
    published: bool = False


class Clock:
    """Which part of a loop is running, and for how long each did.

    On a CUDA device parts are told apart by events in its queue: the host does not wait for it, and a part's time is
    the device's.
    """

    def __init__(self, device: torch.device) -> None:
        self.on_cuda = device.type == "cuda"
        self.stamps: list[tuple[str | None, float | torch.cuda.Event]] = []
        self.held = False

    def switch(self, part: str | None) -> None:
        """From now on it is `part`, None for none; without effect in a part that is held."""
        if not self.held:
            self.stamps.append((part, self._now()))

    @contextmanager
    def hold(self, part: str) -> Iterator[None]:
        """Everything inside belongs to `part`, whatever else is switched to: a backward pass may run a forward one."""
        self.switch(part)
        self.held = True
        try:
            yield
        finally:
            self.held = False

    def take(self) -> dict[str, float]:
        """Seconds of every part since the last call."""
        if self.on_cuda:
            torch.cuda.synchronize()
        seconds: dict[str, float] = {}
        for (part, start), (_, end) in zip(self.stamps, self.stamps[1:], strict=False):
            if part is not None:
                seconds[part] = seconds.get(part, 0.0) + _elapsed(start, end)
        self.stamps.clear()
        return seconds

    def _now(self) -> "float | torch.cuda.Event":
        if not self.on_cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event


def _elapsed(start: "float | torch.cuda.Event", end: "float | torch.cuda.Event") -> float:
    if isinstance(start, float) and isinstance(end, float):
        return end - start
    assert isinstance(start, torch.cuda.Event)
    assert isinstance(end, torch.cuda.Event)
    milliseconds: float = start.elapsed_time(end)
    return milliseconds / 1e3


class Loop:
    """A model with what a step needs: ours as training has it, or the published form.

    The published form is float32 whatever the configuration says. It shares loading, the swap's algorithm (on
    floats) and the head with ours: the swap is compared by `bench augment`, loading by `bench loader`.
    """

    def __init__(self, variant: Variant, inference: bool) -> None:
        self.variant, self.inference = variant, inference
        logging.getLogger("swapaqa.models.i3d").setLevel(logging.ERROR)  # random weights are what is wanted here
        overrides = (*variant.overrides, "trainer.precision=32-true") if variant.published else variant.overrides
        self.data, self.model, self.precision, self.device = assemble(overrides)
        if variant.published:
            self.model.encoder = PublishedEncoder(self.model.encoder)  # type: ignore[assignment]  # with what is asked
            self.precision = Precision()
        self.model.train(not inference)
        self.optimiser = self.make_optimiser()
        self.clock = Clock(self.device)

    @property
    def parts(self) -> Sequence[str]:
        return ENCODING_PARTS if self.inference else STEP_PARTS

    def make_optimiser(self) -> torch.optim.Optimizer:
        optimiser = self.model.configure_optimizers()
        return published_adam(optimiser) if self.variant.published else optimiser

    def watch(self) -> None:
        """Let the encoder and its network turn the clock, as they begin and end."""
        encoder = self.model.encoder
        around = NORMALISE if self.inference else SWAP
        encoder.register_forward_pre_hook(self._switching(around))
        encoder.network.register_forward_pre_hook(self._switching(BACKBONE))
        encoder.network.register_forward_hook(self._switching(around))
        if not self.inference:
            encoder.register_forward_hook(self._switching(HEAD))

    def _switching(self, part: str) -> Callable[..., None]:
        return lambda *_: self.clock.switch(part)

    def run(self, batch: Batch) -> None:
        """A whole step, or encoding, of a batch as the loader hands it on."""
        self.clock.switch(TRANSFER)
        if self.variant.published:
            batch = move_data_to_device(batch, self.device)
        else:
            batch = self.data.transfer_batch_to_device(batch, self.device, 0)
        self.clock.switch(NORMALISE if self.inference else SWAP)
        self.work(self.prepare(batch))
        self.clock.switch(None)

    def prepare(self, batch: Batch) -> Batch:
        """Videos (B, C, T, H, W), as floats in the published form; swapped for a step."""
        batch = channels_first(batch)
        if self.variant.published:
            encoder = cast(PublishedEncoder, self.model.encoder)
            dtype = next(encoder.parameters()).dtype
            batch = map_samples(
                batch, lambda s: s._replace(video=published_floats(s.video, encoder.normalisation, dtype))
            )
        return batch if self.inference else self.data.augmented(batch, epoch=0, step=0)

    def work(self, batch: Batch) -> None:
        """What is done with a batch that is ready."""
        if self.inference:
            with torch.no_grad(), self.precision.forward_context():
                self.model.encode(pooled(batch))
            return
        self.clock.switch(HEAD)
        with self.precision.forward_context():
            loss = self.loss(batch)
        with self.clock.hold(BACKWARD):
            loss.backward()
        self.clock.switch(OPTIMISER)
        self.optimiser.step()
        self.optimiser.zero_grad()

    def loss(self, batch: Batch) -> Tensor:
        return torch.stack(list(self.model.losses(*self.model.encode_batch(batch)).values())).sum()


def one_video_or_batch(loop: Loop) -> Batch:
    """Synthetic: one video to encode, or a batch to train on."""
    if loop.inference:
        return make_sample(loop.data.source, 1, torch.Generator().manual_seed(0))
    return make_batch(loop.data)
