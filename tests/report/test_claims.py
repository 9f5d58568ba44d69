"""Files of claims: their form, strictly, and what the shipped ones name."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from swapaqa.errors import InputError
from swapaqa.verdict.cases import OF_FACTS
from swapaqa.verdict.claims import ClaimsFile, Top, claims_path, read_claims
from swapaqa.verdict.lock import digest, in_commit, lock_path, read_lock, state_of_lock

REPOSITORY = Path(__file__).parents[2]
SHIPPED = ("paper", "unseen_venue")
ARM = {"name": "one", "where": {"aug": "swap"}}
ORDER = {"says": "better", "form": "order", "arms": [ARM, {"name": "other", "where": {"aug": "none"}}]}
NO_WORSE = {"says": "as good", "form": "no_worse", "arm": ARM, "than": ARM, "margin": 0.01}


def read(path: Path, claim: Any, **more: Any) -> ClaimsFile:
    path.write_text(json.dumps({"source": "a test", "claims": {"one": claim}} | more))
    return read_claims(path)[0]


@pytest.mark.parametrize(
    ("claim", "fault"),
    [
        (ORDER | {"arms": [ARM]}, "claims.one.order.arms"),
        (ORDER | {"arm": ARM}, "claims.one.order.arm"),
        (ORDER | {"form": "magic"}, "claims.one: Input tag 'magic'"),
        (ORDER | {"at_least": "0.1"}, "claims.one.order.at_least"),
        (ORDER | {"at_least": -0.1}, "claims.one.order.at_least"),
        (ORDER | {"at_least": float("nan")}, "claims.one.order.at_least"),
        (ORDER | {"arms": [ARM, {"name": "x", "where": {"aug; rm": "y"}}]}, "claims.one.order.arms.1.where"),
        (ORDER | {"arms": [ARM, {"name": "x", "where": {"aug": []}}]}, "claims.one.order.arms.1.where"),
        (
            ORDER | {"arms": [ARM, {"name": "x", "where": {"aug": {"_target_": "os.system"}}}]},
            "claims.one.order.arms.1",
        ),
        (ORDER | {"actions": "some"}, "claims.one.order.actions"),
        (ORDER | {"metric": "a.b"}, "claims.one.order.metric"),
        ({key: value for key, value in ORDER.items() if key != "says"}, "claims.one.order.says"),
        (NO_WORSE | {"margin": 0}, "claims.one.no_worse.margin"),
        ({"says": "top", "form": "top", "key": "aug.ratio", "values": []}, "claims.one.top.values"),
        ("better", "claims.one"),
    ],
)
def test_a_file_of_another_form_is_refused_by_its_key(tmp_path: Path, claim: Any, fault: str) -> None:
    with pytest.raises(InputError, match=rf"mine.yaml: no claims \({re.escape(fault)}"):
        read(tmp_path / "mine.yaml", claim)


@pytest.mark.parametrize("more", [{"level": 0.9}, {"power": 1}, {"claims": {}}, {"source": ""}, {"extra": 1}])
def test_so_is_what_stands_around_the_claims(tmp_path: Path, more: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="no claims"):
        read(tmp_path / "mine.yaml", ORDER, **more)


def test_no_value_is_taken_for_another(tmp_path: Path) -> None:
    wanted = [0, 0.5, False, "0", "none"]
    claim = read(tmp_path / "mine.yaml", ORDER | {"arms": [ARM, {"name": "x", "where": {"key": wanted}}]}).claims["one"]
    found = claim.arms[1].where["key"]
    assert [(type(word), word) for word in found] == [(type(word), word) for word in wanted]


def test_aliases_and_what_is_no_yaml_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    for text in ("source: &a x\nclaims: *a\n", "source: [", "\0\0"):
        path.write_text(text)
        with pytest.raises(InputError, match=r"not a readable YAML.*docs/evidence.md"):
            read_claims(path)
    with pytest.raises(InputError, match=r"no such file of claims; name a file of yours .*, or paper, unseen_venue"):
        claims_path("unseen")


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_claims_are_those_that_were_locked(name: str) -> None:
    path = claims_path(name)
    _, content = read_claims(path)
    found = read_lock(lock_path(path))
    assert found.sha256 == digest(content) == digest(content.replace(b"\n", b"\r\n"))
    assert state_of_lock(path, content).holds
    assert in_commit(path, found) in (True, None)  # None: a clone without history, or an export


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_claims_name_keys_and_options_that_there_are(name: str) -> None:
    """A misspelt key would make a claim that no run is ever of."""
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        cfg = compose("train", ["data=demo", "aug=swap"])
    for claim in read_claims(claims_path(name))[0].claims.values():
        arms = [] if isinstance(claim, Top) else [*getattr(claim, "arms", ()), *getattr(claim, "others", ())]
        arms += [arm for field in ("arm", "than") if (arm := getattr(claim, field, None))]
        places = [claim.within, *(arm.where for arm in arms)]
        places += [{claim.over.key: claim.over.values}] if claim.over else []
        for key, wanted in (pair for place in places for pair in place.items()):
            assert key in OF_FACTS or OmegaConf.select(cfg, key) is not None, key
            for word in wanted if isinstance(wanted, tuple) else (wanted,):
                if key in ("aug", "boxes", "model"):
                    assert (REPOSITORY / "conf" / key / f"{word}.yaml").is_file(), word
        assert not isinstance(claim, Top) or OmegaConf.select(cfg, claim.key) is not None
        assert all((REPOSITORY / "conf" / "data" / f"{data}.yaml").is_file() for data in claim.data)
