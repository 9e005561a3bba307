"""Scenarios, storms and sweeps from Python: many runs, each in a process of its own."""
import os
import signal
import subprocess
import sys
import textwrap

import pytest

import klamm


def short(**more):
    """A scenario of four seconds: the leader is killed and comes back."""
    return klamm.Scenario({"says": "The leader is killed and starts again.", "turned_red_by": "R1", "length": "4s",
                           "goal": {"name": "somebody leads", "reached_by": {"fact": "leads"}},
                           "producers": [{"every": "20ms"}], "consumers": [],
                           "story": [{"at": "1500ms", "kill": "leader", "for": "1s"}], **more})


def test_a_scenario_file_runs_as_on_the_command_line(scenarios):
    scenario = klamm.Scenario.load(scenarios / "failover" / "isolated_leader.json")
    runs = scenario.run(seeds=[1], jobs=1)
    assert [run.verdict for run in runs] == ["passed"]
    assert klamm.replay(runs[0].token).hash == runs[0].hash
    red = scenario.run(seeds=[1], plant="R1", jobs=1)
    assert red[0].red and red.worst() is red[0] and red[0].document["plant_taken"] > 0


def test_conditions_are_added_to_the_story_and_happen(scenarios):
    scenario = short(story=[])
    scenario.when(klamm.on.high_watermark("orders", 0)).before(klamm.on.fetch("follower")).do(klamm.power_loss("leader", 1))
    assert [sorted(step) for step in scenario.document["story"]] == [["when"], ["before", "for", "power"]]
    runs = scenario.run(seeds=range(2), jobs=2)
    assert [run.verdict for run in runs] == ["passed", "passed"]
    assert all(run.counts["power_losses"] == 1 for run in runs)
    assert runs[0].token is None, "no file tells of it"
    with pytest.raises(klamm.Refused, match='did you mean "leader"'):
        scenario.when(klamm.on.append()).do(klamm.crash("leadr"))
    assert len(scenario.document["story"]) == 2, "what was refused is not there"


def test_a_changed_scenario_can_be_saved_and_then_has_tokens(tmp_path):
    scenario = short().save(tmp_path / "mine.json")
    run = scenario.run()[0]
    assert klamm.replay(run.token).hash == run.hash
    assert klamm.Scenario.load(tmp_path / "mine.json").run()[0].hash == run.hash


def test_frames_have_a_row_a_run():
    frame = short().run(seeds=range(3), jobs=2).frame()
    assert list(frame["seed"]) == [0, 1, 2] and set(frame["verdict"]) == {"passed"}
    for column in ("promised", "lost", "lost_O1", "unavailable_seconds", "virtual_seconds", "elections", "cpu_seconds"):
        assert column in frame.columns
    assert (frame["promised"] > 50).all() and (frame["lost"] == 0).all()
    assert frame["unavailable_seconds"].between(0.3, 3).all()


def test_the_number_of_jobs_changes_nothing():
    one, two = (klamm.storm(seeds=range(4), profile="weather", length=3, jobs=jobs) for jobs in (1, 2))
    assert [run.hash for run in one] == [run.hash for run in two]
    assert [run.token for run in one] == [run.token for run in two]


def test_a_red_run_is_shrunk_and_told(scenarios):
    runs = klamm.storm(seeds=range(1, 5), profile="power", plant="R1", jobs=2)
    worst = runs.worst()
    assert worst.red and worst in runs.red
    shrunk = worst.shrink(replays=60)
    assert shrunk.reproduced and shrunk.run.red
    assert len(shrunk.operations) <= len(worst.trace().query("fact == 'SendInvoked'"))
    report = shrunk.report()
    assert "replay klamm replay 1." in report and "<pre>" in report._repr_html_()
    assert klamm.replay(shrunk.run.token).hash == shrunk.run.hash
    green = klamm.storm(seeds=[1], profile="calm", length=2)[0].shrink()
    assert not green.reproduced and "not red" in green.report()


def test_a_red_scenario_is_shrunk_too(tmp_path):
    scenario = short().save(tmp_path / "short.json")
    run = scenario.run(seeds=[1], profile="storm", plant="R1")[0]
    assert run.red
    shrunk = run.shrink(replays=25)
    assert shrunk.reproduced and len(shrunk.operations) < shrunk.document["operations_before"]
    again = klamm.replay(shrunk.run.token)
    assert again.hash == shrunk.run.hash and again.red


def test_a_sweep_has_bands_and_a_picture():
    scenario = short(story=[{"at": "1500ms", "power": "brokers", "for": "500ms"}], disks={"unsynced": "lost"},
                     expect={"lost": {f"O{i}": "any" for i in range(1, 5)},
                             "avoidable": {f"O{i}": "any" for i in range(1, 5)}, "stranded": "any"})
    sweep = klamm.sweep(scenario, seeds=range(3), jobs=2, flush_messages=[1, None], acks=["all"])
    summary = sweep.summary("lost", "unavailable_seconds")
    assert list(summary["flush_messages"].fillna(0)) == [1, 0] and list(summary["runs"]) == [3, 3]
    assert summary["lost"][0] == 0 < summary["lost"][1]
    for measure in ("lost", "unavailable_seconds"):
        assert (summary[f"{measure}_low"] <= summary[measure]).all()
        assert (summary[measure] <= summary[f"{measure}_high"]).all()
    figure = sweep.plot("lost", "unavailable_seconds")
    assert [axes.get_title().split(" (")[0] for axes in figure.axes] == ["lost", "unavailable seconds"]
    with pytest.raises(klamm.Refused, match="there is no measure 'los'"):
        sweep.plot("los")


def test_errors_are_the_command_lines_sentences(scenarios):
    with pytest.raises(klamm.Refused, match="there is no profile 'strom'; expected one of calm, weather"):
        klamm.storm(seeds=[1], profile="strom")
    with pytest.raises(klamm.Refused, match="there is no bug 'R99'"):
        klamm.storm(seeds=[1], plant="R99")
    with pytest.raises(klamm.Refused, match="'1.zz' is no token"):
        klamm.replay("1.zz")
    with pytest.raises(klamm.Refused, match=r':\d+: .*unknown|"lenght"'):
        short(lenght="4s")
    with pytest.raises(OSError):
        klamm.Scenario.load(scenarios / "nothing.json")
    with pytest.raises(klamm.Refused, match="seeds: expected whole numbers"):
        klamm.storm(seeds=[-1])


def test_ctrl_c_keeps_what_was_found():
    program = textwrap.dedent("""
        import klamm
        runs = klamm.storm(seeds=range(100_000), profile="storm", length=3, jobs=2, progress=True)
        print(runs.interrupted, 0 < len(runs) < 100_000, len(runs.frame()) == len(runs))
    """)
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env=dict(os.environ))
    shown = ""
    try:
        while " 2 of 100000 runs" not in shown and "3 of 100000 runs" not in shown:
            shown += process.stderr.read(1)
            assert len(shown) < 5_000 and process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert out.split() == ["True", "True", "True"], err
