"""Every command of README and docs, up to where it would begin to read data: its words are understood and agree.

The pages' examples of one's own code are run as a whole by `test_extend.py`.
"""

import argparse
import re
import shlex
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from hydra import compose, initialize_config_module
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict

from swapaqa.command import PROGRAMS
from swapaqa.configuration.checking import TOP_LEVEL, check
from tests.documented import commands
from tests.forked import REPOSITORY

OF_HYDRA = {
    "train": "train", "pretrain": "pretrain", "doctor": "train", "evaluate": "evaluate", "gradcam": "gradcam",
    "extract": "extract",
}  # fmt: skip
CHOICES = re.compile(r"=(\w+(?:\|\w+)+)")  # event|difficulty|both: of which a user takes one


def composed(name: str, words: list[str]) -> DictConfig:
    with initialize_config_module("swapaqa.conf", version_base="1.3"):
        return compose(name, overrides=words, return_hydra_config=False)


def accepted(name: str, words: list[str]) -> None:
    """As at the start of a program: composed and checked."""
    cfg = composed(name, words)
    with open_dict(cfg):
        cfg.name = "a_run"
        if "save_dir" in cfg.get("logger", {}):
            cfg.logger.save_dir = "somewhere"
    check(OmegaConf.masked_copy(cfg, [key for key in cfg if key in TOP_LEVEL]))


def test_the_pages_have_commands_of_every_program() -> None:
    found = commands()
    assert {command.split()[0] for command in found} == set(PROGRAMS)
    assert set(found.values()) >= {"README.md", "boxes.md", "commands.md", "sweeps.md", "evidence.md", "runs.md"}
    assert len(found) > 60


@pytest.mark.slow  # a minute together
@pytest.mark.parametrize("command", commands())
def test_a_documented_command_is_understood(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program, *words = shlex.split(filled_in(command))
    monkeypatch.chdir(REPOSITORY)
    if program in OF_HYDRA:
        words = [word for word in words if "=" in word and not word.startswith(("--", "hydra", "resume="))]
        accepted(OF_HYDRA[program], [one_of(word) for word in words])
        return
    given, overrides = parsed(program, words, monkeypatch)
    assert given is not None
    if program != "report":
        accepted("train", [word for word in overrides if "=" in word and not word.startswith("source=")])


def filled_in(command: str) -> str:
    """A command with the first of its choices, `event|difficulty`, its [options], and something for `data=...`."""
    chosen = CHOICES.sub(lambda found: "=" + found[1].split("|")[0], command)
    return re.sub(r" \.\.\.$", "", re.sub(r"\[(--[^\]]+)\]", r"\1", chosen)).replace(" data=...", " data=aqa7")


def one_of(word: str) -> str:
    """The first value of a sweep's list or range."""
    override = OverridesParser.create().parse_override(word)
    if not override.is_sweep_override():
        return word
    return f"{override.get_key_element()}={next(override.sweep_string_iterator())}"


def parsed(program: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[str]]:
    """What a program with subcommands makes of its words; what it would run is not run."""
    seen: list[Any] = []
    module = import_module(f"swapaqa.programs.{program}")

    def recorder() -> Callable[..., None]:
        """One of its own for each function: programs ask which one was chosen."""

        def record(given: argparse.Namespace, overrides: list[str] | None = None) -> None:
            seen.append((given, overrides if overrides is not None else getattr(given, "overrides", [])))

        return record

    def set_defaults(self: argparse.ArgumentParser, **values: Any) -> None:
        if "run" in values:
            run, values["run"] = values["run"], recorder()
            if getattr(module, run.__name__, None) is run:
                monkeypatch.setattr(module, run.__name__, values["run"])
        self._defaults.update(values)

    monkeypatch.setattr(argparse.ArgumentParser, "set_defaults", set_defaults)
    monkeypatch.setattr(sys, "argv", [program, *words])
    module.main()
    return seen[0] if seen else (None, [])
