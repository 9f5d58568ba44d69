"""torch.compile of the backbone: the same results and names, for any batch; a failure is a warning and nothing else."""

import functools
import logging
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn

from swapaqa.models.clips import VideoEncoder
from swapaqa.models.compiled import Compiled
from swapaqa.models.tiny import TinyBackbone


@pytest.fixture
def quick_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trace and differentiate as always, without generating code, which takes a compiler and half a minute."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))


def encoder(compiled: bool, clips_per_pass: int | None = None) -> VideoEncoder:
    torch.manual_seed(0)
    network = TinyBackbone(4).double()
    return VideoEncoder(network, 16, 10, None, "imagenet", False, None, clips_per_pass, compile=compiled)


def videos(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, 3, 26, 16, 16), dtype=torch.uint8, generator=generator)


def gradients(model: nn.Module, video: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    (model(video) - 1).square().sum().backward()
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


def assert_same(compiled: VideoEncoder, plain: VideoEncoder, counts: Sequence[int] = (2, 3)) -> None:
    """Of several batch sizes, with gradients and without."""
    for count in counts:
        torch.testing.assert_close(gradients(compiled, videos(count)), gradients(plain, videos(count)))
        with torch.no_grad():
            torch.testing.assert_close(compiled(videos(count)), plain(videos(count)))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("clips_per_pass", [None, 1])
def test_generated_code_for_any_batch(clips_per_pass: int | None, caplog: pytest.LogCaptureFixture) -> None:
    assert_same(encoder(True, clips_per_pass), encoder(False), counts=(2, 3, 1, 2))
    assert "backbone.compile" not in caplog.text


@pytest.mark.usefixtures("quick_compile")
def test_with_and_without_gradients(caplog: pytest.LogCaptureFixture) -> None:
    assert_same(encoder(True), encoder(False), counts=[2])
    assert "backbone.compile" not in caplog.text


def test_names_and_checkpoints_are_those_of_the_plain_network() -> None:
    compiled, plain = encoder(True), encoder(False)
    assert list(compiled.state_dict()) == list(plain.state_dict())
    compiled.load_state_dict(plain.state_dict())


def broken(when: str) -> Callable[..., Callable[[Tensor], Tensor]]:
    """A torch.compile that fails at once, when it is called, or in the backward pass."""

    def fail() -> Tensor:
        raise RuntimeError("no working\ncompiler here")

    class FailingBackward(torch.autograd.Function):
        @staticmethod
        def forward(ctx: object, features: Tensor) -> Tensor:  # noqa: ARG004
            return features.clone()

        @staticmethod
        def backward(ctx: object, gradient: Tensor) -> Tensor:  # noqa: ARG004
            return fail()

    def compile_(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        if when == "at once":
            fail()
        return (lambda _: fail()) if when == "called" else lambda clips: FailingBackward.apply(function(clips))

    return compile_


@pytest.mark.parametrize("when", ["at once", "called", "backward"])
def test_a_failure_is_one_warning(when: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(torch, "compile", broken(when))
    assert_same(encoder(True), encoder(False))
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "backbone.compile=true" in warnings[0]
    assert "no working compiler here" in warnings[0]


def test_memory_that_runs_out_is_no_failure_of_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(torch, "compile", lambda _: full)
    with pytest.raises(torch.OutOfMemoryError):
        encoder(True)(videos(1))


def test_live_statistics_are_not_moved_by_the_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda function: function)
    network = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2))
    Compiled(network)(torch.randn(4, 3))
    assert network[0].num_batches_tracked == 1
