"""What stands beside the code says what is: README, change log, citation."""

import re

import pytest
import yaml

from swapaqa import __version__
from swapaqa.command import PROGRAMS
from swapaqa.configuration.keys import MOVED
from tests.forked import REPOSITORY

TWO_SCREENS = 100  # lines


def test_the_readme_fits_on_two_screens_with_a_path_for_three_readers() -> None:
    lines = (REPOSITORY / "README.md").read_text().splitlines()
    assert len(lines) <= TWO_SCREENS
    assert len([line for line in lines if line.startswith("## You ")]) == 3


def test_the_readme_s_swap_runs() -> None:
    import torch

    (code,) = re.findall(r"```python\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)
    boxes = torch.tensor([1.0, 1.0, 2.0, 2.0]).expand(2, 4, 4)
    video = torch.stack([torch.full((3, 4, 8, 8), value, dtype=torch.uint8) for value in (10, 200)])
    given = {"video": video, "boxes": boxes, "targets": {}, "generator": torch.Generator().manual_seed(0)}
    exec(code, given)  # our own words
    assert given["video"][0, 0, 0, 0, 0] == 200
    assert given["video"][0, 0, 0, 1, 1] == 10


@pytest.mark.parametrize("old", MOVED)
def test_the_change_log_has_every_renamed_key(old: str) -> None:
    assert f"| `{old}` | `{MOVED[old]}` |" in (REPOSITORY / "CHANGELOG.md").read_text()


def test_one_version() -> None:
    assert f"\n## {__version__}\n" in (REPOSITORY / "CHANGELOG.md").read_text()
    assert yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())["version"] == __version__


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_has_a_name_in_the_clone_and_a_row(program: str) -> None:
    assert (REPOSITORY / "src" / f"{program}.py").read_text().endswith(f'run("{program}")\n')
    assert f"| `{program}` |" in (REPOSITORY / "docs" / "commands.md").read_text()


def test_no_program_stands_outside() -> None:
    here = {path.stem for path in (REPOSITORY / "src").glob("*.py")} - {"__init__"}
    assert here == set(PROGRAMS) == {path.stem for path in (REPOSITORY / "src/swapaqa/programs").glob("[!_]*.py")}


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_the_files_that_a_page_names_are_there(page: str) -> None:
    named = re.findall(r"`((?:[a-z_0-9]+/)+[a-z_0-9]+\.(?:py|md|yaml))`", (REPOSITORY / page).read_text())
    rooms = (REPOSITORY, REPOSITORY / "src" / "swapaqa")
    assert not [name for name in named if not any((room / name).is_file() for room in rooms)]
    assert page == "README.md" or named


def test_every_room_is_described() -> None:
    page = (REPOSITORY / "CONTRIBUTING.md").read_text()
    rooms = {path.parent.name for path in (REPOSITORY / "src/swapaqa").glob("*/__init__.py")} - {"conf"}
    assert not [room for room in rooms if f"`{room}`" not in page]
