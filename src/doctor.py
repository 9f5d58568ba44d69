"""`python -m src.doctor` in the clone is `swapaqa doctor`: see `swapaqa.programs.doctor`."""

from swapaqa.command import run

if __name__ == "__main__":
    run("doctor")
