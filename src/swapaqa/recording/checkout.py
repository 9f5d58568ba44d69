"""The checkout of git that this program runs from: its commit, and what differs from it."""

import subprocess
from pathlib import Path

from swapaqa.command import IN_CLONE

CHANGED = "+changes"  # behind a commit whose files were changed


def git(*arguments: str, at: Path = Path(__file__).parent) -> str:
    """What git says in a folder, by default here. OSError where there is no git, CalledProcessError in no checkout."""
    command = ["git", "-C", str(at), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def git_commit() -> str | None:
    """The commit of this clone, with CHANGED if files differ from it; None outside of git, and once installed."""
    if not IN_CLONE:
        return None  # site-packages may lie in a repository of the user's
    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD").strip() + (CHANGED if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None
