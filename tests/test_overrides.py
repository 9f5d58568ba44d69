"""Overrides that Hydra cannot parse, or takes for something else: the line names them and how they are written."""

import os
import runpy
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from swapaqa.configuration.overrides import explain_override, quoted
from swapaqa.running.program import compose_quietly, run_program
from tests.forked import REPOSITORY

Run = Callable[..., "CompletedProcess[str]"]

REFUSED = [
    "epoch=1-step=3.ckpt", "my videos (2)", "(x)", "a(b", "a)b", "run(1)", "{x}", "a{b", "a]b", "a#b", "#1", "a'b",
    "it's (2)", 'a"b', '"half', "b\"'c", "~/videos", "a!b", "a;b", "a&b", "Tauchen/Müller", "跳水.mp4", "a(b\\",
    "a, b (c)", "x[1", " (x) ", "glob()",
]  # fmt: skip
ANOTHER_THING = ["a,b", "[a]", "007", "null", "true", "a\\(b", "choice(1,2)", " x ", "1e3", 'a\\"b']


def parsed(override: str) -> object:
    (found,) = OverridesParser.create().parse_overrides([override])
    return found.value()


def said(override: str) -> str:
    """What a recipe says about the override."""
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"), pytest.raises(HydraException) as error:
        compose("train", [override])
    return explain_override(error.value)


@pytest.mark.parametrize("value", REFUSED)
def test_the_line_shows_a_way_that_works(value: str) -> None:
    override = f"data.root={value}"
    with pytest.raises(HydraException) as error:
        parsed(override)
    message = explain_override(error.value)
    assert message.startswith(f"{override}: ")
    assert "\n" not in message
    (written,) = [word for word in shlex.split(message.partition(" is written ")[2]) if word.startswith("data.root=")]
    assert parsed(written.rstrip(",")) == value


@pytest.mark.parametrize("value", REFUSED + ANOTHER_THING)
def test_quoted_is_the_text_itself(value: str) -> None:
    written = quoted(f"checkpoint={value}")
    assert written is not None
    assert parsed(*shlex.split(written)) == value


@pytest.mark.parametrize("value", ["a,b", "choice(1,2)", "glob(*)", "range(1,3)"])
def test_several_values_are_a_sweep_or_quoted(value: str) -> None:
    message = said(f"data.root={value}")
    assert message.startswith(f"data.root={value}: ")
    assert "--multirun" in message
    assert f"'data.root=\"{value}\"'" in message


def test_quotes_stand_inside_of_the_shells_quotes() -> None:
    assert quoted("checkpoint=epoch=1-step=3.ckpt") == "'checkpoint=\"epoch=1-step=3.ckpt\"'"
    assert "'data.root=\"my videos (2)\"'" in said("data.root=my videos (2)")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("videos", ["videos: ", "key=value", "blanks"]),
        ("my key=3", ["my key=3: ", "'my key' is no key"]),
        ("-x=3", ["-x=3: ", "'-x' is no key"]),
        ("aug.ratoi=2", ["aug.ratoi: no such key; did you mean aug.ratio?"]),
        ("backbone.network.widht=4", ["backbone.network.widht: ", "did you mean backbone.network.width?"]),
        ("sed=1", ["sed: ", "did you mean seed?"]),
        ("model=cor", ["model=cor: no such option", "core"]),
    ],
)
def test_other_mistakes_name_the_whole_word(override: str, words: list[str]) -> None:
    message = said(override)
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    "command", ["train", "doctor", "evaluate", "gradcam", "demo swap", "bench step", "boxes make data=videos"]
)
def test_every_recipe_says_it(command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY))
    monkeypatch.setattr(sys, "argv", [*command.split(), "data.root=my videos (2)"])
    monkeypatch.setattr(os, "environ", os.environ.copy())
    with pytest.raises(SystemExit) as left:
        runpy.run_module(f"src.{command.split()[0]}", run_name="__main__", alter_sys=True)
    assert left.value.code == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert line.startswith("error: data.root=my videos (2): ")
    assert "'data.root=\"my videos (2)\"'" in line


@pytest.mark.parametrize("override", ["checkpoint=7", "checkpoint=[a]", "video=7"])
def test_a_path_that_is_no_text_is_one_line(override: str, recipe_inside: Run, tmp_path: Path) -> None:
    done = recipe_inside("evaluate", tmp_path / "run", override)
    assert done.returncode == 2
    key = override.partition("=")[0]
    assert f"error: {key}=" in done.stderr
    assert f"'{key}=\"...\"'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("override", ["video=${my_videos}/a.mp4", "checkpoint=${my_videos}"])
def test_a_variable_that_no_shell_filled_in_is_one_line(override: str, recipe_inside: Run, tmp_path: Path) -> None:
    done = recipe_inside("evaluate", tmp_path / "run", override)
    assert done.returncode == 2
    key = override.partition("=")[0]
    assert done.stderr.splitlines() == [
        f"error: {key}: Interpolation key 'my_videos' not found; ${{...}} stands for a key of the configuration"
    ]


@pytest.mark.parametrize("override", ["model=2.0", "data=true", "aug=null"])
def test_a_group_that_is_no_name_is_one_line(
    override: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    words = ["seed=3", "model.depth=5", override]
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setattr(sys, "argv", ["train", *words])
    with pytest.raises(SystemExit) as left:
        run_program(lambda: compose_quietly(words, "x") and None)
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith(
        f"error: seed=3 or {override}: a group takes the name of one of its files"
    )
