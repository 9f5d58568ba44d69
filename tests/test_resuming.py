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
from swapaqa.running.value_digest import sealed, value_digest

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
    known = {"state_dict": model.state_dict(), "swapaqa_config": model.config, FORMAT_KEY: FORMAT}
    return sealed(known | lightning)


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
        ({key: value for key, value in own.items() if key != "swapaqa_digest"}, r"\(swapaqa_digest missing\)"),
        (resealed(own, swapaqa_config=None), "no configuration in it"),
        (resealed(without_format), f"of another version \\(its format is 1, this one's {FORMAT}\\)"),
        (resealed(own, **{FORMAT_KEY: FORMAT - 1}), f"of another version \\(its format is {FORMAT - 1}, "),
        (resealed(own, **{FORMAT_KEY: FORMAT + 1}), f"of another version \\(its format is {FORMAT + 1}, "),
        (resealed(own, **{FORMAT_KEY: [3]}), "of another version"),
        (resealed(own, swapaqa_config=other), r"of another run: aug\.ratio \(3, now 2\.0\)"),
        (resealed(own, state_dict={"a": torch.ones(1)}), "of another model"),
        (resealed(own, state_dict=larger), "of another model: .* has another shape"),
        (resealed(own, state_dict=dict.fromkeys(own["state_dict"], 1)), "of another model: .* has another shape"),
    ):
        torch.save(content, path)
        with pytest.raises(InputError, match=words) as refused:
            check_resumable(path, model)
        assert "\n" not in str(refused.value)


def resealed(content: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return sealed({key: value for key, value in (content | changed).items() if key != "swapaqa_digest"})


@pytest.mark.parametrize(
    "changed",
    [
        {"loops": {"fit_loop": {}}},
        {"loops": None},
        {"global_step": 2},
        {"optimizer_states": [{"state": {}, "param_groups": []}]},
        {"callbacks": []},
    ],
)
def test_one_whose_values_were_changed_is_one_line(changed: dict[str, Any], model: Scorer, tmp_path: Path) -> None:
    """With the run's own configuration and weights, so that Lightning would restore it, and fail or go on otherwise."""
    path = tmp_path / "resume.ckpt"
    torch.save(whole(model) | changed, path)
    with pytest.raises(InputError, match=r"resume\.ckpt: not as it was written, so .*; delete this file"):
        check_resumable(path, model)


def test_a_weight_whose_value_was_changed_is_noticed(model: Scorer, tmp_path: Path) -> None:
    content = whole(model)
    name, weight = next(iter(content["state_dict"].items()))
    torch.save(content | {"state_dict": content["state_dict"] | {name: weight + 1}}, tmp_path / "resume.ckpt")
    with pytest.raises(InputError, match="not as it was written"):
        check_resumable(tmp_path / "resume.ckpt", model)


def test_a_digest_is_of_values_types_and_order() -> None:
    values = [
        1, 1.0, True, "1", None, [1], (1,), {"a": 1}, {"a": [1]}, {"a": 1, "b": 2}, {"b": 2, "a": 1}, [[1], 1],
        [1, [1]],
        torch.tensor(1), torch.tensor([1]), torch.tensor([[1]]), torch.tensor(1.0), torch.tensor(1, dtype=torch.int32),
        torch.zeros(0), torch.zeros(0, 3), torch.tensor([1.5], dtype=torch.bfloat16), float("nan"), {}, [], "",
    ]  # fmt: skip
    assert len({value_digest(value) for value in values}) == len(values)
    assert value_digest(torch.eye(3).T[::2]) == value_digest(torch.tensor([[1.0, 0, 0], [0, 0, 1]]))


@pytest.mark.slow
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
