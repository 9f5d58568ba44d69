"""`python -m src.boxes` in the clone is `swapaqa boxes`: see `swapaqa.programs.boxes`."""

from swapaqa.command import run

if __name__ == "__main__":
    run("boxes")
