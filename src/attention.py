"""`python -m src.attention` in the clone is `swapaqa attention`: see `swapaqa.programs.attention`."""

from swapaqa.command import run

if __name__ == "__main__":
    run("attention")
