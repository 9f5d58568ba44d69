"""`python -m src.pretrain` in the clone is `swapaqa pretrain`: see `swapaqa.programs.pretrain`."""

from swapaqa.command import run

if __name__ == "__main__":
    run("pretrain")
