"""`python -m src.report` in the clone is `swapaqa report`: see `swapaqa.programs.report`."""

from swapaqa.command import run

if __name__ == "__main__":
    run("report")
