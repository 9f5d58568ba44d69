"""The commands of README and docs."""

import re
from collections.abc import Iterator
from pathlib import Path

from swapaqa.command import PROGRAMS
from tests.forked import REPOSITORY

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
COMMAND = re.compile(rf"(?:python -m src\.|swapaqa )({'|'.join(PROGRAMS)})(?: +(.*))?")
OTHER = re.compile(  # as a line of a block, or between back ticks
    r"(?:\w+=\S+ )*(?:(?:make|pip|torchrun|srun|wandb|apt-get|pytest|scontrol) .*|python -[^m].*|python -m (?!src\.).*)"
)
OWN = (
    "my_conf",
    "my_aqa",
    "=likert",
    "=jumps",
    "=within",
    "=lion",
    "=frames",
    "=ellipse",
    "=grey",
)  # docs/extend.md
NAMED = ("report compare", "report show", "boxes import")  # in a sentence, without their files


def lines_of(page: Path) -> Iterator[str]:
    """The commands in a page's blocks and between its back ticks, with continued lines joined."""
    parts = re.sub(r"\\\n\s*", "", page.read_text()).split("```")
    for number, part in enumerate(parts):
        if number % 2:
            yield from (line.partition(" # ")[0].strip() for line in part.splitlines())
        else:
            yield from re.findall(r"`([^`]+)`", part)
            yield from (line.partition(" # ")[0].strip() for line in part.splitlines() if line.startswith("    "))


def commands() -> dict[str, str]:
    """Every command of a program of ours, `train aug=none`, and its page."""
    found = {}
    for page in PAGES:
        shell = dict(re.findall(r'^ *(\w+)="([^"]*)"', page.read_text(), re.MULTILINE))
        for line in lines_of(page):
            text = " ".join(line.split())
            text = re.sub(r"\$(\w+)", lambda name, known=shell: known.get(name[1], name[0]), text)
            match = COMMAND.search(text)
            if match and not any(word in text for word in OWN):
                words = re.split(r" (?:&&|\|\||\||;|>|2>&1) ?", match[2] or "")[0]
                found[f"{match[1]} {words}".strip()] = page.name
    return {command: page for command, page in found.items() if command not in NAMED}


def other_commands() -> dict[str, str]:
    """Every command of another program, such as `make demo`, and its page."""
    found = {}
    for page in PAGES:
        for line in lines_of(page):
            for text in re.split(r" && ", " ".join(line.split())):
                if OTHER.fullmatch(text):
                    found[text] = page.name
    return found
