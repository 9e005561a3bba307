"""What explains runs and searches, from Python: other futures, where two runs part, planted bugs, distances, files."""
import json
import os
import pathlib

import pytest

import klamm

PROGRAM = pathlib.Path(os.environ["KLAMM_BINARY_DIR"]) / "klamm"


@pytest.fixture(scope="module")
def red():
    """A run that breaks a promise, by a planted bug."""
    return klamm.storm(seeds=range(1, 5), profile="power", plant="R1", jobs=1, progress=False).worst()


def test_why_tells_when_a_failure_became_likely(red):
    why = klamm.why(red, branches=4, moments=6, jobs=1)
    assert why.reproduced and why.finding.startswith(f"[{red.findings[0]['rule']}]")
    frame = why.frame()
    assert 2 <= len(frame) and frame["seconds"].is_monotonic_increasing and frame["share"].between(0, 1).all()
    assert (frame["branches"] + frame["undecided"] == 4).all() and (frame["seconds"] <= why.failure).all()
    assert why.report().startswith(f"why {red.token}\n") and " of 4" in why.report()
    assert why.plot().axes[0].get_ylabel() == "futures that fail"
    green = klamm.why(klamm.storm(seeds=[1], profile="calm", length=2)[0], branches=1, moments=2, jobs=1)
    assert not green.reproduced and green.rise is None
    with pytest.raises(klamm.Refused, match="branches: expected a whole number from 1 to 1000"):
        klamm.why(red, branches=0)


def test_runs_are_compared_event_by_event(red):
    run = klamm.storm(seeds=[3], profile="calm", length=2)[0]
    found = klamm.diverge(run)
    assert found.equal and found.hash == run.hash and found.events == run.document["events"]
    assert klamm.diverge(run.token, against=PROGRAM).raise_if_different().hash == run.hash
    with pytest.raises(klamm.Error):
        klamm.diverge(run, against="/nothing/klamm")


def test_a_program_that_tells_of_another_run_is_caught(tmp_path):
    liar = tmp_path / "klamm"
    one, other = klamm.storm(seeds=[3, 4], profile="calm", length=2)
    liar.write_text(f'#!/bin/sh\ncase "$*" in *{one.token}*) shift 2; exec {PROGRAM} replay {other.token} "$@";; esac\n')
    liar.chmod(0o755)
    found = klamm.diverge(one, against=liar)
    assert not found.equal and found.event >= 1 and found.one != found.other
    with pytest.raises(klamm.NotDeterministic, match=f"number {found.event}"):
        found.raise_if_different()


def test_the_zoo_finds_a_plant_and_not_without_what_it_needs():
    zoo = klamm.zoo("R1", budget=30, jobs=1)
    assert zoo.as_expected and zoo[0]["found"] and zoo[0]["reached"] > 0 and klamm.replay(zoo[0]["token"]).red
    assert list(zoo.frame()["bug"]) == ["R1"]
    without = klamm.zoo("R1", budget=0.2, jobs=1, without_needed=True)
    assert without.as_expected and not without[0]["found"]
    with pytest.raises(klamm.Refused, match="there is no bug 'R99'"):
        klamm.zoo("R99")
    with pytest.raises(klamm.Refused, match="there is no profile 'strom'"):
        klamm.zoo("R1", profile="strom")


def test_a_distance_comes_with_its_schedule_and_a_scenario():
    found = klamm.distance(faults=1, jobs=1, replication_factor=1, min_insync=1)
    assert found.faults == 1 and len(found.schedule) == 1 and found.loss
    run = found.scenario.run(seeds=[1], jobs=1)[0]
    assert sum(run.lost.values()) > 0
    safe = klamm.distance(faults=1, jobs=1, replication_factor=3, min_insync=2, flush_messages=1)
    assert safe.faults is None and safe.searched == 1 and safe.scenario is None and safe.remedy is None
    with pytest.raises(klamm.Refused, match="min.insyn"):
        klamm.distance(min_insyn_replicas=1)


def test_a_run_leaves_the_files_that_the_command_line_writes(red, tmp_path):
    red.export(html=tmp_path / "run.html", pcap=tmp_path / "run.pcapng", trace=tmp_path / "trace.jsonl",
               history=tmp_path / "history.jsonl", disks=tmp_path / "disks")
    assert "<html" in (tmp_path / "run.html").read_text()[:500].lower()
    assert (tmp_path / "run.pcapng").read_bytes()[:4] == b"\x0a\x0d\x0d\x0a"
    assert (tmp_path / "history.jsonl").read_text() == red.history_lines()
    assert json.loads((tmp_path / "trace.jsonl").read_text().splitlines()[0])
    assert any((tmp_path / "disks").iterdir())
    with pytest.raises(klamm.Refused, match="a run leaves no 'film'"):
        red.export(film=tmp_path / "film")
    with pytest.raises(klamm.Refused, match="/nothing/a.html"):
        red.export(html="/nothing/a.html")
