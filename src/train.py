"""`python -m src.train` in the clone is `swapaqa train`: see `swapaqa.programs.train`."""

from swapaqa.command import run

if __name__ == "__main__":
    run("train")
