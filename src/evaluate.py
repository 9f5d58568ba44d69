"""`python -m src.evaluate` in the clone is `swapaqa evaluate`: see `swapaqa.programs.evaluate`."""

from swapaqa.command import run

if __name__ == "__main__":
    run("evaluate")
