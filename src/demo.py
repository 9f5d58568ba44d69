"""`python -m src.demo` in the clone is `swapaqa demo`: see `swapaqa.programs.demo`."""

from swapaqa.command import run

if __name__ == "__main__":
    run("demo")
