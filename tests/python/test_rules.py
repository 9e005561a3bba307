"""The leader's rules as values, from Python: beside rapidcheck's and the exhaustive search in tests/replica."""
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import klamm
from klamm import rules


def test_the_watermark_is_the_least_end_of_the_isr():
    leader = rules.Leader(replicas=[1, 2, 3], min_isr=2)
    assert leader.append(5) == {"moved": None, "propose": None}
    assert leader.fetch(2, 5)["moved"] is None
    assert leader.fetch(3, 4) == {"moved": [0, 4], "propose": None, "error": "NONE"}
    assert leader.high_watermark == 4
    assert leader.acks_all(4) == "NONE" and leader.acks_all(5) is None


def test_who_lags_is_dropped_and_comes_back():
    leader = rules.Leader(replicas=[1, 2, 3], min_isr=2, lag_max=10)
    leader.append(2)
    leader.wait(6)
    leader.fetch(2, 2)
    assert leader.wait(6)["propose"] == {"isr": [1, 2], "joining": None}
    assert leader.high_watermark == 0, "until the controller has agreed, broker 3 counts"
    assert leader.commit()["moved"] == [0, 2]
    assert leader.fetch(3, 2)["propose"] == {"isr": [1, 2, 3], "joining": 3}
    leader.append(1)
    leader.fetch(2, 3)
    assert leader.high_watermark == 2, "who may be in the ISR by now counts"
    assert leader.state["maximal_isr"] == [1, 2, 3] and leader.state["isr"] == [1, 2]


def test_who_is_fenced_is_not_proposed():
    leader = rules.Leader(replicas=[1, 2, 3], isr=[1, 2], min_isr=2)
    leader.append(2)
    leader.fence(3)
    assert leader.fetch(3, 2)["propose"] is None
    leader.unfence(3)
    assert leader.fetch(3, 2)["propose"] == {"isr": [1, 2, 3], "joining": 3}
    leader.refuse()
    assert leader.state["isr"] == [1, 2]


def test_too_few_in_sync_admit_nothing():
    leader = rules.Leader(replicas=[1, 2], isr=[1], min_isr=2)
    assert leader.admit(-1) == "NOT_ENOUGH_REPLICAS" and leader.admit(1) == "NONE"
    with pytest.raises(klamm.Refused, match="no proposal is in flight"):
        leader.commit()
    with pytest.raises(klamm.Refused, match="broker 7 is no replica"):
        leader.fetch(7, 0)
    with pytest.raises(klamm.Refused, match="ascend"):
        rules.Leader(replicas=[2, 1])


def play(steps, **made):
    """Plays the steps and checks after each what must always hold; gives the leader."""
    leader = rules.Leader(**made)
    claimed = {}
    before = leader.state
    for step in steps:
        done = leader.do(step)
        now = leader.state
        if step[0] == "fetch_back" and done["error"] == "NONE":
            claimed[step[1]] = max(0, before["log_end"] - step[2])
        assert now["high_watermark"] >= before["high_watermark"], step
        assert now["high_watermark"] <= now["log_end"], step
        if now["high_watermark"] > before["high_watermark"]:
            assert len(now["isr"]) >= now["effective_min_isr"], step
            for member in set(now["maximal_isr"]) - {now["leader"]}:
                assert claimed.get(member, 0) >= now["high_watermark"], (step, member)
            if made.get("flush_each"):
                assert now["flushed"] >= now["high_watermark"], step
        assert set(now["isr"]) <= set(now["maximal_isr"])
        before = now
    return leader


@settings(max_examples=150)
@given(rules.steps(), st.integers(1, 3), st.booleans())
def test_the_watermark_never_lies_above_what_the_maximal_isr_holds(steps, min_isr, flush_each):
    play(steps, min_isr=min_isr, flush_each=flush_each, lag_max=10)


def test_the_property_finds_a_planted_bug():
    found = []

    @settings(max_examples=400)
    @given(rules.steps())
    def holds(steps):
        try:
            play(steps, min_isr=1, flush_each=True, lag_max=10, plant="S1")  # counts what is not flushed
        except AssertionError:
            found[:] = steps
            raise
    with pytest.raises(AssertionError):
        holds()
    assert 0 < len(found) <= 4


def test_a_quorum_elects_commits_and_loses_nothing_that_is_committed():
    quorum = rules.Quorum(3)
    assert quorum.state["leader"] is None
    assert quorum.expire(2)
    leader = quorum.settle().state["leader"]
    assert leader == 2
    before = quorum.state["committed"]
    assert quorum.append(leader) and not quorum.append(1), "only the leader appends"
    assert quorum.settle().state["committed"] == before + 1
    assert quorum.power_off(leader) and not quorum.kill(leader), "it is down already"
    quorum.expire(1)
    quorum.settle()
    state = quorum.state
    assert state["leader"] in (1, 3) and state["committed"] > before
    assert quorum.restart(leader)
    quorum.settle()
    assert quorum.violation == "" and [one["role"] for one in quorum.state["replicas"]].count("leader") == 1
    with pytest.raises(klamm.Refused, match="there is no replica 4"):
        quorum.tick(4)
    with pytest.raises(klamm.Refused, match="1 to 9"):
        rules.Quorum(0)


def test_voters_are_added_and_removed():
    quorum = rules.Quorum(3, dynamic=True)
    quorum.expire(1)
    quorum.settle()
    assert quorum.state["leader"] == 1 and quorum.remove_voter(3)
    quorum.settle()
    assert [one["voter"] for one in quorum.state["replicas"]] == [True, True, False]
    assert quorum.add_voter(3)
    quorum.settle()
    assert all(one["voter"] for one in quorum.state["replicas"]) and quorum.violation == ""


@settings(max_examples=60)
@given(rules.quorum_steps(), st.booleans())
def test_a_quorum_keeps_raft_s_promises(steps, durable):
    quorum = rules.Quorum(3, sync_logs=durable, sync_states=durable)
    for step in steps:
        quorum.do(step)
        assert quorum.violation == "", (step, quorum.violation)


def vote_between(quorum, one, other):
    """Delivers what these two have to say to each other about votes; all else is lost."""
    for _ in range(60):
        network = quorum.state["network"]
        if not network:
            return
        ends = {int(word) for word in network[0].split()[:3:2]}
        if ends == {one, other} and "Vote" in network[0]:
            quorum.deliver(0)
        else:
            quorum.lose(0)


@pytest.mark.parametrize("plant", [None, "C1"])
def test_a_vote_that_is_spoken_of_before_it_is_durable_makes_two_leaders(plant):
    quorum = rules.Quorum(3, plant=plant, sync_states=False)
    for candidate in (1, 2):
        quorum.expire(candidate)
        vote_between(quorum, candidate, 3)
        quorum.power_off(3)
        quorum.restart(3)  # and has forgotten whom it voted for, if no sync came before the answer
    assert bool(quorum.violation) == (plant is not None), quorum.violation


def stable_pair(coordinator):
    """A group of two members of one generation, each with its assignment."""
    tickets = [coordinator.join(), coordinator.join()]
    coordinator.wait(10)
    answers = [coordinator.answer(ticket) for ticket in tickets]
    assert [one["error"] for one in answers] == ["NONE", "NONE"]
    members, generation = [one["member"] for one in answers], answers[0]["generation"]
    for one in answers:
        leads = one["member"] == one["leader"]
        coordinator.sync(one["member"], generation, {m: f"of {m}" for m in members} if leads else {})
    return members, generation


def test_a_group_rebalances_commits_and_survives_a_failover():
    coordinator = rules.Coordinator()
    (first, second), generation = stable_pair(coordinator)
    assert coordinator.state["groups"]["g"]["state"] == "Stable"
    assert coordinator.answer(coordinator.heartbeat(first, generation))["error"] == "NONE"
    assert coordinator.answer(coordinator.heartbeat(first, generation + 1))["error"] == "ILLEGAL_GENERATION"
    assert coordinator.answer(coordinator.heartbeat("nobody", generation))["error"] == "UNKNOWN_MEMBER_ID"
    assert coordinator.answer(coordinator.commit(7, first, generation))["error"] == "NONE"
    coordinator.fail_over()
    assert coordinator.answer(coordinator.fetch())["offsets"] == [
        {"topic": "orders", "partition": 0, "offset": 7, "error": "NONE"}]
    assert coordinator.answer(coordinator.heartbeat(second, generation))["error"] == "NONE"
    coordinator.wait(6)
    coordinator.heartbeat(first, generation)
    coordinator.wait(6)  # the other one was silent for longer than its session
    assert coordinator.state["groups"]["g"]["members"] == [first]
    with pytest.raises(klamm.Refused, match="not below zero"):
        coordinator.wait(-1)


def test_what_is_not_replicated_is_not_answered_and_may_be_lost():
    coordinator = rules.Coordinator(replicates=False)
    ticket = coordinator.commit(7)
    assert coordinator.answer(ticket) is None, "it waits for its record"
    coordinator.fail_over()
    assert coordinator.answer(ticket)["error"] == "NOT_COORDINATOR"
    assert coordinator.answer(coordinator.fetch())["offsets"] == []
    ticket = coordinator.commit(8)
    coordinator.replicate()
    assert coordinator.answer(ticket)["error"] == "NONE"
    coordinator.fail_over()
    assert coordinator.answer(coordinator.fetch())["offsets"][0]["offset"] == 8
    coordinator.fail_appends(19)
    assert coordinator.answer(coordinator.commit(9))["error"] == "COORDINATOR_NOT_AVAILABLE"


@settings(max_examples=60)
@given(rules.group_steps(), st.booleans())
def test_a_group_never_forgets_a_commit_that_was_acknowledged(steps, replicates):
    coordinator = rules.Coordinator(replicates=replicates)
    commits, generations = {}, {}
    for step in steps:
        ticket = coordinator.do(step)
        if step[0] == "commit" and ticket is not None:
            commits[ticket] = step[2]
        state = coordinator.state
        group = state["groups"].get("g")
        if group is not None:
            assert group["state"] == "Empty" or group["leader"] in group["members"], group
            generations[len(generations)] = group["generation"]
        # Commits are applied in the order in which they were asked for: the last acknowledged one, or one after it.
        done = [t for t in commits if (coordinator.answer(t) or {}).get("error") == "NONE"]
        if done:
            later = {commits[t] for t in commits if t >= max(done)}
            assert state["offsets"]["g"]["orders-0"] in later, (step, commits)
