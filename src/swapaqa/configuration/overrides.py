"""What is wrong with an override of the command line, in one line with the way to write it.

Hydra's grammar gives `= ( ) { } [ ] , # '` and others a meaning, and letters beyond ASCII none: a value that has them
stands in quotes, and these in the shell's: `'checkpoint="epoch=1-step=3.ckpt"'`.
"""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from swapaqa.configuration.keys import suggestion

CONFIG = Path(__file__).parents[1] / "conf"
OF_A_GROUP = "Config group override"  # how Hydra's ValueError about one begins
A_SWEEP = re.compile(  # the two ways in which Hydra refuses several values without --multirun
    r"(Ambiguous value for argument|Sweep parameters) '(?P<override>.*)'(\s+1\. To use| requires --multirun)", re.DOTALL
)


def explain_override(error: HydraException) -> str:
    """One line for what Hydra says about a wrong override, with the nearest key or option, or the way to quote it."""
    cause = error.__cause__
    if isinstance(error, OverrideParseException):
        return explain_syntax(error.override)
    if isinstance(cause, OmegaConfBaseException) and cause.full_key:
        known = [str(key) for key in cause.parent_node or [] if not str(key).startswith("_")]
        return f"{cause.full_key}: no such key{suggestion(str(cause.full_key), str(cause.key), known)}"
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        # of a group that takes a list Hydra does not say what there is
        options = error.options or sorted(path.stem for path in (CONFIG / group).glob("*.yaml"))
        return f"{group}={option}: no such option; there are {', '.join(options or ['none'])}"
    several = A_SWEEP.match(str(error))
    if several:
        override = several["override"]
        return f"{override}: several values are a sweep and need --multirun; one value is written {quoted(override)}"
    return " ".join(str(error).split())


def explain_group(overrides: Sequence[str]) -> str:
    """One line for a group that was given a number or the like, of which Hydra does not say which one it was."""
    wrong = [word for word in overrides if "." not in word.partition("=")[0] and _is_no_name(word)]
    return f"{' or '.join(wrong) or 'an override'}: a group takes the name of one of its files in conf/, as model=core"


def _is_no_name(word: str) -> bool:
    try:
        (parsed,) = OverridesParser.create().parse_overrides([word])
    except HydraException:
        return False
    return not isinstance(parsed.value(), str | list)


def explain_syntax(override: str) -> str:
    """What to write in the place of an override that Hydra cannot parse."""
    key, equals, _ = override.partition("=")
    if not equals:
        return (
            f"{override}: overrides are written key=value; a value with blanks is written "
            "'key=\"a value\"', with quotes inside of quotes"
        )
    written = quoted(override)
    if written is None:
        return f"{override}: '{key}' is no key; overrides are written key=value, and keys have neither blanks nor signs"
    return f"{override}: a value with such characters is written {written}, with quotes inside of quotes"


def quoted(override: str) -> str | None:
    """The override as it is typed into a shell so that all after its first `=` is one text; None for a wrong key."""
    key, _, value = override.partition("=")
    for mark in "\"'":
        # as in Hydra's grammar: backslashes are doubled before a quote and at the end only
        text = re.sub(rf"(\\*)({mark}|$)", lambda found: found[1] * 2 + (f"\\{found[2]}" if found[2] else ""), value)
        written = f"{key}={mark}{text}{mark}"
        try:
            (parsed,) = OverridesParser.create().parse_overrides([written])
        except HydraException:
            continue
        if not parsed.is_sweep_override() and parsed.value() == value:
            return shlex.quote(written)
    return None
