"""`python -m swapaqa train` is `swapaqa train`, for whoever starts modules, as torchrun does."""

from swapaqa.command import main

main()
