"""`python -m src.extract` in the clone is `swapaqa extract`: see `swapaqa.programs.extract`."""

from swapaqa.command import run

if __name__ == "__main__":
    run("extract")
