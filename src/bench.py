"""`python -m src.bench` in the clone is `swapaqa bench`: see `swapaqa.programs.bench`."""

from swapaqa.command import run

if __name__ == "__main__":
    run("bench")
