"""A step checkpoint that is damaged or of another run: one line with the way out, and that way works."""

import pickle
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from swapaqa.errors import InputError
from swapaqa.models.scorer import FORMAT, FORMAT_KEY, Scorer
from swapaqa.running.resuming import check_resumable

Run = Callable[..., "CompletedProcess[str]"]


@pytest.fixture
def model(config: Callable[..., Any]) -> Scorer:
    cfg = config("model=usdl", "name=x", "logger=csv", "logger.save_dir=x")
    found: Scorer = instantiate(cfg.model)
    found.config = OmegaConf.to_container(cfg, resolve=True)
    return found


def whole(model: Scorer) -> dict[str, Any]:
    """What a step checkpoint holds, as far as it is looked at."""
    lightning = {"loops": {}, "callbacks": {}, "optimizer_states": [], "epoch": 0, "global_step": 3}
    return {"state_dict": model.state_dict(), "swapaqa_config": model.config, FORMAT_KEY: FORMAT} | lightning


def test_a_whole_one_is_not_refused(model: Scorer, tmp_path: Path) -> None:
    torch.save(whole(model), tmp_path / "resume.ckpt")
    check_resumable(tmp_path / "resume.ckpt", model)


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def with_a_hole(content: bytes) -> bytes:
    """As a file system leaves a file whose blocks were not written: PyTorch reads its weights as zeros."""
    half = len(content) // 2
    return content[:half] + bytes(4096) + content[half + 4096 :]


@pytest.mark.parametrize(
    "damage",
    [
        truncated,
        with_a_hole,
        lambda content: bytes(len(content)),
        lambda _: b"",
        lambda _: b"<!DOCTYPE html><html><body>404</body></html>",
        lambda _: pickle.dumps({"state_dict": {}}),
        lambda content: content[:-1],
    ],
)
def test_a_damaged_one_is_one_line(damage: Callable[[bytes], bytes], model: Scorer, tmp_path: Path) -> None:
    path = tmp_path / "resume.ckpt"
    torch.save(whole(model), path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(
        InputError, match=r"resume\.ckpt: damaged \(.+\).*; delete this file and give the same"
    ) as refused:
        check_resumable(path, model)
    assert "\n" not in str(refused.value)


def test_another_content_is_named(model: Scorer, tmp_path: Path, config: Callable[..., Any]) -> None:
    path, own = tmp_path / "resume.ckpt", whole(model)
    changed = config("model=usdl", "name=x", "logger=csv", "logger.save_dir=x", "aug.ratio=3")
    other = OmegaConf.to_container(changed, resolve=True)
    without_format = {key: value for key, value in own.items() if key != FORMAT_KEY}
    larger = {name: torch.ones(7) for name in own["state_dict"]}
    for content, words in (
        ([1, 2], r"no step checkpoint \(state_dict, loops"),
        ({key: value for key, value in own.items() if key != "loops"}, r"no step checkpoint \(loops missing\)"),
        (own | {"swapaqa_config": None}, "no configuration in it"),
        (without_format, f"of another version \\(its format is 1, this one's {FORMAT}\\)"),
        (own | {FORMAT_KEY: FORMAT - 1}, f"of another version \\(its format is {FORMAT - 1}, this one's {FORMAT}\\)"),
        (own | {FORMAT_KEY: FORMAT + 1}, f"of another version \\(its format is {FORMAT + 1}, "),
        (own | {FORMAT_KEY: [3]}, "of another version"),
        (own | {"swapaqa_config": other}, r"of another run: aug\.ratio \(3, now 2\.0\)"),
        (own | {"state_dict": {"a": torch.ones(1)}}, "of another model"),
        (own | {"state_dict": larger}, "of another model: .* has another shape"),
        (own | {"state_dict": dict.fromkeys(own["state_dict"], 1)}, "of another model: .* has another shape"),
    ):
        torch.save(content, path)
        with pytest.raises(InputError, match=words) as refused:
            check_resumable(path, model)
        assert "\n" not in str(refused.value)


def test_deleting_it_starts_the_run_over(tmp_path: Path, train_inside: Run, small_demo: list[str]) -> None:
    words = [
        *small_demo,
        "model=usdl",
        "aug=none",
        "backbone.network.width=4",
        "data.frames=16",
        "trainer.max_epochs=1",
    ]
    run = tmp_path / "run"
    assert train_inside(tmp_path, *words).returncode == 0
    (run / "result.json").unlink()  # as if it had been killed before
    (run / "checkpoints" / "resume.ckpt").write_bytes(b"<html>")
    refused = train_inside(tmp_path, *words, "resume=true")
    assert refused.returncode == 2
    assert "resume.ckpt: damaged (not a readable PyTorch file" in refused.stderr
    assert "Traceback" not in refused.stderr
    (run / "checkpoints" / "resume.ckpt").unlink()
    done = train_inside(tmp_path, *words, "resume=true")
    assert done.returncode == 0, done.stderr
    assert (run / "result.json").exists()
    assert not (run / "failed.txt").exists()
