"""The files and commands of `docs/extend.md`."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.forked import REPOSITORY

PAGE = (REPOSITORY / "docs" / "extend.md").read_text()
BLOCK = re.compile(r"^```(?P<kind>python|yaml|bash)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
PATH = re.compile(r"# (?P<path>my_\w+/\S+)\n")


def blocks(text: str, *kinds: str) -> list[str]:
    """The fenced blocks of some kinds in a part of the page."""
    return [found["text"] for found in BLOCK.finditer(text) if found["kind"] in kinds]


def files() -> Iterator[tuple[str, str]]:
    """The files of the page, by the path in their first line."""
    for text in blocks(PAGE, "python", "yaml"):
        named = PATH.match(text)
        assert named, f"an example without its path: {text[:60]}"
        yield named["path"], text[named.end() :]


def install(folder: Path) -> Path:
    """Write the page's package and yamls into `folder`."""
    for path, text in files():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    (folder / "my_aqa" / "__init__.py").write_text("")
    return folder
