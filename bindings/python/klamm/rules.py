"""The pure rules, without a cluster about them: a partition's leader (core/replica/leader.h), a quorum of Raft replicas
(core/raft/raft.h) and a group coordinator (core/group/coordinator.h) as the values that they are, and hypothesis strategies for
what may happen to them.

    leader = klamm.rules.Leader(replicas=[1, 2, 3], min_isr=2)
    leader.append(5); leader.fetch(2, 5); leader.fetch(3, 4)
    leader.high_watermark        # 4: the least end of the ISR

Offsets are record numbers, times are seconds. Errors are klamm.Refused; error codes are Kafka's names ("NONE").
"""
import json
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

from . import _klamm
from ._clients import nanoseconds as _nanoseconds
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
    st = _strategies("steps")
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


class Quorum:
    """Raft replicas as KRaft has them, numbered from 1, over a network that is a list and disks that lose what is not synced.

        quorum = klamm.rules.Quorum(3)
        quorum.expire(1); quorum.settle()
        quorum.state["leader"]

    dynamic: voters may be added and removed. sync_logs, sync_states: syncs return at once; else sync_log() and sync_state() do
    it. find_leader: who knows no leader asks around. plant: the code of a bug ("C1"). After each step `violation` says which
    of Raft's promises is broken, "" while none is: one leader an epoch, logs that match, committed records that stay."""

    def __init__(self, replicas: int = 3, dynamic: bool = False, sync_logs: bool = True, sync_states: bool = True,
                 find_leader: bool = False, seed: int = 1, plant: Optional[str] = None):
        self._rules = _klamm.QuorumRules(replicas, dynamic, sync_logs, sync_states, find_leader, seed, plant or "")
        self.replicas = replicas

    def deliver(self, message: int = 0) -> bool:
        """Delivers the message at this place of the network. False, as of all steps, when it cannot happen."""
        return self._rules.act("deliver", message, 0)

    def lose(self, message: int = 0, noticed: bool = False) -> bool:
        """Loses it; `noticed`: who sent it learns that there will be no answer."""
        return self._rules.act("lose", message, int(noticed))

    def tick(self, replica: int) -> bool:
        """This replica's time goes on to its alarm."""
        return self._rules.act("tick", replica, 0)

    def expire(self, replica: int) -> bool:
        """Its time goes on past all its timeouts."""
        return self._rules.act("expire", replica, 0)

    def append(self, replica: int) -> bool:
        """It appends a record, if it leads."""
        return self._rules.act("append", replica, 0)

    def sync_log(self, replica: int) -> bool:
        """Its log is durable up to its end."""
        return self._rules.act("sync_log", replica, 0)

    def sync_state(self, replica: int) -> bool:
        """Its quorum-state file is durable, and what waited for that is sent."""
        return self._rules.act("sync_state", replica, 0)

    def kill(self, replica: int) -> bool:
        """Its process ends; what it wrote stays."""
        return self._rules.act("kill", replica, 0)

    def power_off(self, replica: int, keep: int = 0) -> bool:
        """Its machine loses power, and keeps so many percent of what no sync has covered."""
        return self._rules.act("power_off", replica, keep)

    def restart(self, replica: int) -> bool:
        """It starts on what its disk holds."""
        return self._rules.act("restart", replica, 0)

    def snapshot(self, replica: int) -> bool:
        """It makes a snapshot of what is committed, and drops the log before it."""
        return self._rules.act("snapshot", replica, 0)

    def resign(self, replica: int) -> bool:
        """It gives up leadership."""
        return self._rules.act("resign", replica, 0)

    def add_voter(self, replica: int) -> bool:
        """The leader is asked to make it a voter; needs dynamic=True."""
        return self._rules.act("add_voter", replica, 0)

    def remove_voter(self, replica: int) -> bool:
        """The leader is asked to take its vote; needs dynamic=True."""
        return self._rules.act("remove_voter", replica, 0)

    def settle(self, events: int = 1000) -> "Quorum":
        """Delivers what there is, syncs, and lets time go on, until nothing is under way or `events` are over."""
        self._rules.settle(events)
        return self

    @property
    def state(self) -> Dict[str, Any]:
        """All of it: violation, leader (of the greatest epoch), committed (how many records), network (a line a message),
        replicas (id, up, role, epoch, leader, voter, high_watermark, log_start, flushed, log: epoch, number, control)."""
        return json.loads(self._rules.state())

    @property
    def violation(self) -> str:
        """The promise that is broken, in words; "" while none is."""
        return self.state["violation"]

    def do(self, step) -> bool:
        """One of quorum_steps(): a verb and its arguments; places of messages are taken over how many there are."""
        verb, *arguments = step
        if verb in ("deliver", "lose"):
            under_way = len(self.state["network"])
            return under_way > 0 and getattr(self, verb)(arguments[0] % under_way, *arguments[1:])
        return getattr(self, verb)(*arguments)

    def __repr__(self):
        return f"<Quorum of {self.replicas}, leader {self.state['leader']}>"


def quorum_steps(replicas: int = 3, max_size: int = 60) -> Any:
    """A hypothesis strategy: lists of what may happen to a Quorum of so many replicas, for Quorum.do()."""
    st = _strategies("quorum_steps")
    who = st.integers(1, replicas)
    return st.lists(st.one_of(
        st.tuples(st.just("deliver"), st.integers(0, 9)), st.tuples(st.just("deliver"), st.just(0)),
        st.tuples(st.just("lose"), st.integers(0, 9), st.booleans()), st.tuples(st.just("tick"), who),
        st.tuples(st.just("expire"), who), st.tuples(st.just("append"), who), st.tuples(st.just("sync_log"), who),
        st.tuples(st.just("sync_state"), who), st.tuples(st.just("kill"), who),
        st.tuples(st.just("power_off"), who, st.sampled_from([0, 50, 100])), st.tuples(st.just("restart"), who)),
        max_size=max_size)


class Coordinator:
    """The coordinator of groups, over a log that is a list. Commands give a ticket; what was answered since is in answers().

        coordinator = klamm.rules.Coordinator()
        first = coordinator.join()
        coordinator.wait(3)
        coordinator.answer(first)     # {"kind": "join", "error": "NONE", "generation": 1, "member": …, "members": […]}

    initial_delay: group.initial.rebalance.delay.ms, in seconds. replicates: what is appended is committed at once; else by
    replicate(). Bytes (metadata, assignments) are text, a character a byte."""

    def __init__(self, initial_delay: float = 3.0, replicates: bool = True):
        self._rules = _klamm.GroupRules(round(initial_delay * 1000), replicates)
        self._answered: Dict[int, Dict[str, Any]] = {}

    def _ask(self, verb, **fields):
        ticket = self._rules.ask(json.dumps({verb: fields}))
        for one in json.loads(self._rules.take_answers()):
            self._answered[one.pop("ticket")] = one
        return ticket

    def _collect(self):
        for one in json.loads(self._rules.take_answers()):
            self._answered[one.pop("ticket")] = one

    def join(self, member: str = "", group: str = "g", session: float = 10, rebalance: float = 60,
             protocols: Sequence[Tuple[str, str]] = (("range", ""),), instance: Optional[str] = None,
             needs_known_member: bool = False) -> int:
        """JoinGroup. needs_known_member: a new member is first told its id (KIP-394)."""
        return self._ask("join", group=group, member=member, session_ms=round(session * 1000),
                         rebalance_ms=round(rebalance * 1000), protocols=[list(one) for one in protocols], instance=instance,
                         needs_known_member=needs_known_member)

    def sync(self, member: str, generation: int, assignments: Optional[Dict[str, str]] = None, group: str = "g") -> int:
        """SyncGroup; the leader's carries what each member is assigned."""
        return self._ask("sync", group=group, member=member, generation=generation, assignments=dict(assignments or {}))

    def heartbeat(self, member: str, generation: int, group: str = "g") -> int:
        """Heartbeat."""
        return self._ask("heartbeat", group=group, member=member, generation=generation)

    def leave(self, member: str, group: str = "g") -> int:
        """LeaveGroup."""
        return self._ask("leave", group=group, member=member)

    def commit(self, offset: int, member: str = "", generation: int = -1, topic: str = "orders", partition: int = 0,
               group: str = "g") -> int:
        """OffsetCommit of one partition."""
        return self._ask("commit", group=group, member=member, generation=generation, offsets=[[topic, partition, offset]])

    def fetch(self, group: str = "g") -> int:
        """OffsetFetch of all that the group has committed."""
        return self._ask("fetch", group=group)

    def describe(self, group: str = "g") -> int:
        """DescribeGroups."""
        return self._ask("describe", group=group)

    def delete(self, group: str = "g") -> int:
        """DeleteGroups."""
        return self._ask("delete", group=group)

    def wait(self, seconds: float) -> "Coordinator":
        """Time passes: sessions end, rebalances are over."""
        self._rules.wait(_nanoseconds(seconds, "seconds"))
        self._collect()
        return self

    def replicate(self) -> "Coordinator":
        """All that is appended is committed."""
        self._rules.replicate()
        self._collect()
        return self

    def fail_appends(self, error: int = 0) -> "Coordinator":
        """From now on appends fail with this code of Kafka's (19 is NOT_ENOUGH_REPLICAS); 0: they succeed."""
        self._rules.fail_appends(error)
        return self

    def fail_over(self, keeps_all: bool = False) -> "Coordinator":
        """Another takes over, with what was committed, or with all that was appended. Who waits is told."""
        self._rules.fail_over(keeps_all)
        self._collect()
        return self

    def answer(self, ticket: int) -> Optional[Dict[str, Any]]:
        """What a command was answered: kind, error (Kafka's name) and its fields; None while it waits."""
        return self._answered.get(ticket)

    @property
    def state(self) -> Dict[str, Any]:
        """groups (state, generation, leader, protocol, members), offsets (committed, by group), log_end, high_watermark."""
        return json.loads(self._rules.state())

    def do(self, step) -> Union[int, "Coordinator", None]:
        """One of group_steps(). Members are meant by the order in which they were named: who was never named is a new one.
        Gives the ticket of a command; what makes no sense just now does nothing and gives None."""
        verb, *arguments = step
        if verb in ("wait", "replicate", "fail_over"):
            return getattr(self, verb)(*arguments)
        if verb == "fetch":
            return self.fetch()
        named = self.named()
        which = arguments[0]
        member = named[which] if which < len(named) else ""
        if verb == "join":
            return self.join(member)
        if not member:
            return None
        if verb == "leave":
            return self.leave(member)
        generation = self.state["groups"].get("g", {}).get("generation", 0) + arguments[-1]
        if verb == "sync":
            return self.sync(member, generation, {one: one for one in named})
        if verb == "commit":
            return self.commit(arguments[1], member, generation)
        return self.heartbeat(member, generation)

    def named(self) -> List[str]:
        """The members that joins were answered with, in order."""
        seen: Dict[str, None] = {}
        for ticket in sorted(self._answered):
            if self._answered[ticket].get("member"):
                seen.setdefault(self._answered[ticket]["member"])
        return list(seen)

    def __repr__(self):
        return f"<Coordinator {self.state['groups']}>"


def group_steps(members: int = 3, max_size: int = 40) -> Any:
    """A hypothesis strategy: lists of what may happen to a Coordinator whose groups have up to so many members, for
    Coordinator.do(): joins, syncs, heartbeats, commits (also of an older or newer generation), members that leave or fall
    silent, replication, failovers."""
    st = _strategies("group_steps")
    who, shift = st.integers(0, members - 1), st.sampled_from([0, 0, 0, -1, 1])
    return st.lists(st.one_of(
        st.tuples(st.just("join"), who), st.tuples(st.just("sync"), who, shift), st.tuples(st.just("heartbeat"), who, shift),
        st.tuples(st.just("commit"), who, st.integers(0, 99), shift), st.tuples(st.just("leave"), who),
        st.tuples(st.just("wait"), st.sampled_from([0.1, 3.0, 3.0, 11.0, 70.0])), st.tuples(st.just("replicate")),
        st.tuples(st.just("fetch")), st.tuples(st.just("fail_over"), st.booleans())), max_size=max_size)


def _strategies(name):
    try:
        from hypothesis import strategies
    except ImportError:
        raise Refused(f"klamm.rules.{name} needs hypothesis") from None
    return strategies
