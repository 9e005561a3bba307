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
