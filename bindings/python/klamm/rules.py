"""The pure rules, without a cluster about them: a partition's leader as the value that core/replica/leader.h is, and hypothesis
strategies for what may happen to it.

    leader = klamm.rules.Leader(replicas=[1, 2, 3], min_isr=2)
    leader.append(5); leader.fetch(2, 5); leader.fetch(3, 4)
    leader.high_watermark        # 4: the least end of the ISR

Offsets are record numbers, times are seconds. Errors are klamm.Refused; error codes are Kafka's names ("NONE").
"""
import json
from typing import Any, Dict, Optional

from . import _klamm
from ._errors import Refused

_SECOND = 1_000_000_000


class Leader:
    """One partition's leader in one epoch: who is in sync, and up to where everyone in sync holds the log.

    replicas: broker ids that ascend; the first one leads. isr: all of them unless said. flush_each: flush.messages=1. lag_max:
    replica.lag.time.max.ms, in seconds. plant: the code of a bug ("R4"). Each step gives {"moved": [from, to] or None,
    "propose": {"isr": …, "joining": …} or None}: a move of the high watermark, and an AlterPartition to be sent."""

    def __init__(self, replicas=(1, 2, 3), isr=None, min_isr=1, log_end=0, high_watermark=0, flush_each=False, lag_max=30.0,
                 plant=None):
        self._rules = _klamm.LeaderRules(list(replicas), list(replicas if isr is None else isr), min_isr, log_end,
                                         high_watermark, flush_each, round(lag_max * _SECOND), plant or "")

    def append(self, count=1) -> Dict[str, Any]:
        """So many records more in its log."""
        return json.loads(self._rules.append(count))

    def flush(self) -> Dict[str, Any]:
        """Its log is durable up to its end."""
        return json.loads(self._rules.flush())

    def fetch(self, replica, offset) -> Dict[str, Any]:
        """A follower fetches from `offset`, and so claims to hold what is below. Gives "error" too."""
        return json.loads(self._rules.fetch(replica, offset))

    def wait(self, seconds) -> Dict[str, Any]:
        """Time passes; then it looks who has lagged behind for too long."""
        return json.loads(self._rules.wait(round(seconds * _SECOND)))

    def commit(self) -> Dict[str, Any]:
        """The controller commits the proposal in flight. Raises Refused when there is none."""
        return json.loads(self._rules.answer(True, 0))

    def refuse(self, error=-1) -> Dict[str, Any]:
        """The controller refuses the proposal in flight, with an error code of Kafka's protocol."""
        return json.loads(self._rules.answer(False, error))

    def fence(self, broker) -> Dict[str, Any]:
        """A broker's session ends."""
        return json.loads(self._rules.fence(broker, True))

    def unfence(self, broker) -> Dict[str, Any]:
        """A broker's session begins again."""
        return json.loads(self._rules.fence(broker, False))

    def acks_all(self, required) -> Optional[str]:
        """What acks=all is answered for an append that ends at `required` (one past its last offset): None while it waits."""
        return self._rules.acks_all(required) or None

    def admit(self, acks=-1) -> str:
        """What an append with these acks (-1 is all) is told before it is made: "NONE" or "NOT_ENOUGH_REPLICAS"."""
        return self._rules.admit(acks)

    @property
    def state(self) -> Dict[str, Any]:
        """All of it: leader, epoch, epoch_start, log_end, flushed, high_watermark, isr, maximal_isr, effective_min_isr,
        in_flight, follower_ends."""
        return json.loads(self._rules.state())

    @property
    def high_watermark(self) -> int:
        """Up to where everyone in sync holds the log."""
        return self.state["high_watermark"]

    def do(self, step) -> Optional[Dict[str, Any]]:
        """One of steps(): a verb and its arguments. What makes no sense just now does nothing and gives None."""
        verb, *arguments = step
        if verb == "fetch_back":  # a follower that holds all but so many of the leader's records
            replica, back = arguments
            return self.fetch(replica, max(0, self.state["log_end"] - back))
        if verb in ("commit", "refuse") and self.state["in_flight"] is None:
            return None
        return getattr(self, verb)(*arguments)

    def __repr__(self):
        return f"<Leader {self.state}>"


def steps(replicas=(1, 2, 3), max_size=30) -> Any:
    """A hypothesis strategy: lists of what may happen to a Leader of these replicas, for Leader.do(): appends, flushes,
    fetches, time, the controller's answers, sessions that end and begin."""
    try:
        from hypothesis import strategies as st
    except ImportError:
        raise Refused("klamm.rules.steps needs hypothesis") from None
    followers = st.sampled_from(list(replicas)[1:])
    return st.lists(st.one_of(
        st.tuples(st.just("append"), st.integers(1, 3)),
        st.tuples(st.just("flush")),
        st.tuples(st.just("fetch_back"), followers, st.integers(0, 4)),
        st.tuples(st.just("wait"), st.sampled_from([0.1, 5.0, 20.0, 40.0])),
        st.tuples(st.just("commit")),
        st.tuples(st.just("refuse")),
        st.tuples(st.just("fence"), followers),
        st.tuples(st.just("unfence"), followers)), max_size=max_size)
