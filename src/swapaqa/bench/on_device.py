"""Whether trainings of the demo on one device end alike: stopped and resumed, or shared by two processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from swapaqa.running.jobs import RESUME_FILE

SMALL = ["data.settings.train=24", "data.settings.test=8", "data.settings.shifted=8", "logger=csv", "data.workers=0"]
EVERY_EPOCH = ["trainer.max_epochs=3", "trainer.check_val_every_n_epoch=1"]
PREDICTIONS = "predictions_test.csv"
ROUNDING = 1.0  # points, after some steps of Adam in float32 over sums in another order
GLOO = "trainer.strategy={_target_: pytorch_lightning.strategies.DDPStrategy, process_group_backend: gloo}"


def compare_resumed(folder: Path, accelerator: str, limit_s: float) -> str:
    """Train with deterministic operations, once through and once stopped at its first checkpoint and resumed.

    Returns:
        That the predictions are the same bytes.

    Raises:
        RuntimeError: they are not, or a training failed or took more than `limit_s` seconds.
    """
    until = time.monotonic() + limit_s
    whole, halved = folder / "whole", folder / "halved"
    words = [*SMALL, *EVERY_EPOCH, f"trainer.accelerator={accelerator}", "trainer.deterministic=true", "save_every=2"]
    _finish([_begin([*words, f"hydra.run.dir={whole}"])], until)
    stopped = _begin([*words, f"hydra.run.dir={halved}"])
    while not (halved / RESUME_FILE).exists() and stopped.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    stopped.send_signal(signal.SIGTERM)
    try:
        printed, _ = stopped.communicate(timeout=max(1.0, until - time.monotonic()))
    finally:
        stopped.kill()
    if stopped.returncode != 128 + signal.SIGTERM:
        raise RuntimeError(f"was not stopped at its first checkpoint: it failed, or had ended\n{printed[-2000:]}")
    _finish([_begin([*words, f"hydra.run.dir={halved}", "resume=true"])], until)
    return _same(whole, halved, 0.0)


def compare_shared(folder: Path, accelerator: str, limit_s: float) -> str:
    """Train by one process and by two that share the device (over gloo: NCCL refuses one device twice).

    Returns:
        By how many points predictions differ at most, by rounding.

    Raises:
        RuntimeError: by more than that, or as `compare_resumed`.
    """
    until = time.monotonic() + limit_s
    words = [*SMALL, *EVERY_EPOCH, f"trainer.accelerator={accelerator}", "trainer.devices=1", "aug.pool=global"]
    _finish([_begin([*words, f"hydra.run.dir={folder / 'one'}"])], until)
    shared = [*words, GLOO, "trainer.num_nodes=2", f"hydra.run.dir={folder / 'two'}"]
    _finish([_begin(shared, _rank(rank)) for rank in range(2)], until)
    return _same(folder / "one", folder / "two", ROUNDING)


def _rank(rank: int) -> list[str]:
    """One of two nodes of a process each, as torchrun starts them; both are this machine."""
    agent = ["--nnodes", "2", "--nproc-per-node", "1", "--node-rank", str(rank)]
    return ["torch.distributed.run", *agent, "--master-addr", "127.0.0.1", "--master-port", str(_port()), "-m"]


def _port() -> int:
    return 20000 + os.getpid() % 20000


def _begin(words: list[str], launcher: list[str] | None = None) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", *(launcher or []), "swapaqa", "train", *words]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def _finish(trainings: "list[subprocess.Popen[str]]", until: float) -> None:
    try:
        for training in trainings:
            printed, _ = training.communicate(timeout=max(1.0, until - time.monotonic()))
            if training.returncode:
                raise RuntimeError(f"exit status {training.returncode}\n{printed[-2000:]}")
    except subprocess.TimeoutExpired as error:
        raise RuntimeError("took too long") from error
    finally:
        for training in trainings:
            training.kill()


def _same(one: Path, other: Path, allowed: float) -> str:
    """What two runs' predictions have in common; RuntimeError where they differ by more points than allowed."""
    tables = [(run / PREDICTIONS).read_text().splitlines() for run in (one, other)]
    if tables[0] == tables[1]:
        return f"{PREDICTIONS}: the same bytes"
    columns = [[float(line.split(",")[3]) for line in table[1:]] for table in tables]
    apart = max(abs(a - b) for a, b in zip(*columns, strict=True))
    if apart > allowed:
        raise RuntimeError(f"{PREDICTIONS}: differ by up to {apart:g} points")
    return f"{PREDICTIONS}: differ by up to {apart:g} points"
