"""klamm_checkers: the checkers from Python alone, without the package klamm."""
import subprocess
import sys

import klamm_checkers
import pytest
from hypothesis import given, strategies


def event(time, kind, **more):
    return {"time": time, "client": 1, "operation": more.pop("operation", 1), "kind": kind, **more}


def log(offset_read, value_read):
    return [event(1, "send_invoked", partition=0, value=7, acks=-1),
            event(2, "send_returned", outcome="ok", offset=5),
            event(3, "poll_invoked", operation=2, partition=0, offset=5),
            event(4, "poll_returned", operation=2, outcome="ok", log_start=0, high_watermark=6,
                  records=[[offset_read, value_read]])]


def test_the_package_is_alone():
    said = subprocess.run([sys.executable, "-c", "import klamm_checkers, sys; print('klamm' in sys.modules)"],
                          capture_output=True, text=True, check=True)
    assert said.stdout == "False\n"


def test_logs_and_services():
    assert not klamm_checkers.check(log(5, 7)).red
    wrong = klamm_checkers.check(log(5, 8))
    assert wrong.red and wrong.names == ["GARBAGE", "LOST"] and wrong["totals"]["sends"] == 1
    owners = [dict(event(1, "owner_told", partition=0, group=3, generation=4), client=client) for client in (1, 2)]
    assert klamm_checkers.check(owners).names == ["two-owners"]


SKEW = """{:process 0, :type :invoke, :f :txn, :value [[:append :x 1] [:r :y nil]]}
{:process 1, :type :invoke, :f :txn, :value [[:append :y 1] [:r :x nil]]}
{:process 0, :type :ok, :f :txn, :value [[:append :x 1] [:r :y []]]}
{:process 1, :type :ok, :f :txn, :value [[:append :y 1] [:r :x []]]}
"""


def test_transactions_by_their_isolation():
    strict = klamm_checkers.check(SKEW)
    assert strict.red and strict.names == ["G2-item"] and strict["ruled_out"] == ["repeatable-read"]
    assert "T1  process 0's transaction (line 3)" in str(strict)
    lawful = klamm_checkers.check(SKEW, isolation="snapshot-isolation")
    assert not lawful.red and lawful.names == [] and "G2-item (lawful)" in str(lawful)


def test_jepsens_kafka_workload():
    sent = ('{:process 0, :type :invoke, :f :send, :value [[:send :x 1]]}\n'
            '{:process 0, :type :ok, :f :send, :value [[:send :x [0 1]]]}\n')
    assert klamm_checkers.check(sent).names == ["unseen"]
    assert not klamm_checkers.check(sent, compacted=True).red


def test_named_objects_are_drawn():
    def operation(client, function, given=None, told=None):
        asked = {"client": client, "kind": "operation_invoked", "function": function}
        done = {"client": client, "kind": "operation_returned", "outcome": "ok"}
        return [asked if given is None else dict(asked, input=given), done if told is None else dict(done, output=told)]

    history = operation(1, "write", 1) + operation(2, "write", 2) + operation(3, "read", told=1)
    judgement = klamm_checkers.check(history, model="register")
    assert judgement.red and judgement.names == ["not-linearizable"]
    assert "|- write 2 -|" in judgement.violations[0]["drawing"]
    assert not klamm_checkers.check(operation(1, "write", 1), model="register").red


def test_what_is_no_history_is_refused():
    with pytest.raises(klamm_checkers.NotAHistory, match="line 1, key \"kind\""):
        klamm_checkers.check([{"time": 1, "client": 1, "operation": 1, "kind": "sent"}])
    with pytest.raises(klamm_checkers.NotAHistory, match="no such level"):
        klamm_checkers.check(SKEW, isolation="some")
    with pytest.raises(klamm_checkers.NotAHistory, match="expected register"):
        klamm_checkers.check("", model="stack")
    with pytest.raises(klamm_checkers.NotAHistory, match="byte 8"):
        klamm_checkers.check(b"KLAMMHI1")


@given(strategies.binary(max_size=60))
def test_no_bytes_break_it(text):
    try:
        assert klamm_checkers.check(text).red in (True, False)
    except klamm_checkers.NotAHistory as refused:
        assert str(refused)
