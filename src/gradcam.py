"""`python -m src.gradcam` in the clone is `swapaqa gradcam`: see `swapaqa.programs.gradcam`."""

from swapaqa.command import run

if __name__ == "__main__":
    run("gradcam")
