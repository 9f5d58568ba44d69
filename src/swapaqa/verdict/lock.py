"""Locking a file of claims: which bytes it has at which commit, so that nobody moves the posts after a run.

`claims.yaml` is locked by `claims.lock.yaml` beside it: the digest of its bytes, the commit of git that holds them, and
the time. The commit is the proof, as everybody who has the repository can look it up; the times are those of clocks.
"""

import hashlib
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import yaml
from pydantic import AwareDatetime, ConfigDict, StringConstraints, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from swapaqa.command import spelled
from swapaqa.errors import InputError, one_line
from swapaqa.files.foreign_file import read_yaml
from swapaqa.files.whole_file import write_whole
from swapaqa.recording.checkout import git
from swapaqa.runs.run import Run
from swapaqa.verdict.claims import LOCKED, read_claims

REMEDY = "take it from git again, or give the claims a new name and lock them"
STARTED = ("config.yaml", ".hydra/config.yaml", ".hydra/overrides.yaml")  # written when a run starts


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Lock:
    """What a lock says. `commit`: the last one that changed the claims; `at`: when they were locked."""

    format: Literal[1]
    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    commit: Annotated[str, StringConstraints(pattern="^[0-9a-f]{40}([0-9a-f]{24})?$")]
    at: AwareDatetime


class Locked(NamedTuple):
    """What is known of a lock. `words`: a sentence; `holds`: whether the claims are those that were locked."""

    words: str
    holds: bool
    at: datetime | None


def lock_path(claims: Path) -> Path:
    """`my_claims.lock.yaml` of `my_claims.yaml`."""
    return claims.with_name(claims.name.removesuffix(claims.suffix) + LOCKED)


def lock(claims: Path) -> str:
    """Lock a file of claims that is committed; returns what was done, in a sentence.

    Raises:
        InputError: it is no file of claims, not committed as it is, or locked with other bytes.
    """
    _, content = read_claims(claims)
    path = lock_path(claims)
    if path.exists():
        found = read_lock(path)
        if found.sha256 != digest(content):
            raise InputError(
                f"{claims}: was locked with other claims on {_day(found.at)} (commit {found.commit[:12]}); what is "
                "expected now goes into a file of a new name"
            )
        return f"{claims} has been locked since {_day(found.at)}, at commit {found.commit[:12]}."
    commit = committed(claims)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    text = yaml.safe_dump({"format": 1, "sha256": digest(content), "commit": commit, "at": at}, sort_keys=False)
    write_whole(path, f"# The lock of {claims.name}: docs/evidence.md\n{text}")
    return f"{claims} is locked at commit {commit[:12]}; commit {path} too, before anything runs."


def committed(claims: Path) -> str:
    """The last commit that changed a file; InputError where git does not hold it as it is."""
    folder, name = claims.resolve().parent, claims.name
    try:
        changed = git("status", "--porcelain", "--", name, at=folder).strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise InputError(
            f"{claims}: is in no repository of git, which a lock needs; git init, then commit it"
        ) from error
    try:
        commit = git("log", "-1", "--format=%H", "--", name, at=folder).strip()
    except subprocess.CalledProcessError:  # nothing was ever committed
        commit = ""
    if not commit or changed:
        raise InputError(f"{claims}: is not committed as it is; git add {name} && git commit, then lock it")
    return commit


def read_lock(path: Path) -> Lock:
    """The lock in a file; InputError where it is none."""
    try:
        return TypeAdapter(Lock).validate_python(read_yaml(path, REMEDY))
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        fault = one_line(f"{'.'.join(map(str, problem['loc'])) or 'the whole'}: {problem['msg']}")
        raise InputError(f"{path}: no lock of claims ({fault}); {REMEDY}") from error


def state_of_lock(claims: Path, content: bytes) -> Locked:
    """Whether the claims, whose bytes are `content`, are locked and what they were then."""
    path, name = lock_path(claims), claims.name
    if not path.exists():
        how = spelled(f"report verdict --lock {claims}")
        words = f"{name} is not locked: nothing shows that it was written before the runs. Commit it, then: {how}"
        return Locked(words, False, None)
    found = read_lock(path)
    since = f"locked on {_day(found.at)} at commit {found.commit[:12]}"
    if found.sha256 != digest(content):
        words = f"{name} was CHANGED since it was {since}: these are not the claims that were locked."
        return Locked(words, False, found.at)
    there = in_commit(claims, found)
    if there is False:
        return Locked(f"{name} says it was {since}, and that commit holds other claims.", False, found.at)
    looked = "which holds it as it is" if there else "which cannot be looked up here"
    return Locked(f"{name} is {since}, {looked}.", True, found.at)


def in_commit(claims: Path, found: Lock) -> bool | None:
    """Whether the commit of a lock holds the claims that were locked; None where git does not know it here."""
    try:
        text = git("show", f"{found.commit}:./{claims.name}", at=claims.resolve().parent)
    except (OSError, subprocess.CalledProcessError, UnicodeDecodeError):
        return None
    return digest(text.encode()) == found.sha256


def digest(content: bytes) -> str:
    """SHA-256, in hexadecimal; of lines that end as git's do, since Windows may check them out otherwise."""
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()


def began(run: Run) -> datetime | None:
    """When a run first started, by its result; of one from before results said it, by the times of its files."""
    said = (run.result or {}).get("began")
    try:
        if said:
            found = datetime.fromisoformat(said)
            return found if found.tzinfo else found.replace(tzinfo=UTC)
    except ValueError:
        pass
    times = [path.stat().st_mtime for name in STARTED if (path := run.folder / name).is_file()]
    return datetime.fromtimestamp(min(times), UTC) if times else None


def _day(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
