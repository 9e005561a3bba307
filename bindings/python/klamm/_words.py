"""The words of scenario files, as functions: who, moments (`klamm.on`), deeds. What they give are the objects of
scenarios/SCHEMA.md, so whatever is not here can be written as a plain dict.

Durations are seconds (a number) or text as in scenario files ("200us", "1500ms", "2s").
"""
import re
from typing import Any, Dict, List, Union

from ._errors import Refused

_UNITS = re.compile(r"^-?\d+(us|ms|s|m)$")


def duration(value, what="duration") -> str:
    """Seconds or text as a scenario file has it.

    >>> duration(0.5), duration("2s")
    ('500000us', '2s')
    """
    if isinstance(value, str):
        if not _UNITS.match(value):
            raise Refused(f'{what}: expected seconds, or text such as "1500ms" or "2s", found "{value}"')
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Refused(f"{what}: expected seconds, found {value!r}")
    return f"{round(value * 1_000_000)}us"


def who(name, topic=None) -> Union[str, List[str]]:
    """Whom a word means: a role ("leader", "follower", "ISR member", "ELR member", "outside ISR", "brokers", "controller",
    "clients"), a node ("broker-2", or 2 for a broker), "all" for every broker, or a list of such. Roles are those of partition
    0 unless they say "leader of orders-1"."""
    if isinstance(name, (list, tuple)):
        return [who(one, topic) for one in name]
    if isinstance(name, bool):
        raise Refused(f"nobody is {name!r}")
    if isinstance(name, int):
        return f"broker-{name}"
    if not isinstance(name, str):
        if name is None:
            raise Refused("nobody is meant: there is no leader just now" if topic else "nobody is meant")
        raise Refused(f"nobody is {name!r}")
    if name == "all":
        return "brokers"
    if topic and f" of {topic}-" in name:
        return name.replace(f" of {topic}-", " of trial-")
    return name


class on:
    """Moments: facts that nodes state, by which steps of a scenario are timed. A scenario has one topic; whatever name it is
    called by here, that one is meant. Every moment takes `by` (who states it) and `nth` (which one, from 1)."""

    @staticmethod
    def fact(name, partition=None, **filters) -> Dict[str, Any]:
        """Any fact of scenarios/SCHEMA.md by its word, with its filters."""
        moment = {"fact": name}
        if partition is not None:
            moment["partition"] = partition
        for key, value in filters.items():
            if value is not None:
                moment[key] = who(value) if key in ("by", "of", "leader", "joining", "isr", "elr") else value
        return moment

    @staticmethod
    def high_watermark(topic, partition=0, **filters) -> Dict[str, Any]:
        """A leader's high watermark moved."""
        return on.fact("watermark_advanced", partition, **filters)

    @staticmethod
    def fetch(of=None, topic=None, partition=None, **filters) -> Dict[str, Any]:
        """A leader has judged a fetch of a follower (`of`: which)."""
        return on.fact("fetched", partition, of=of, **filters)

    @staticmethod
    def election(topic=None, partition=None, **filters) -> Dict[str, Any]:
        """A leader took up an epoch."""
        return on.fact("leads", partition, **filters)

    @staticmethod
    def append(topic=None, partition=None, as_leader=None, **filters) -> Dict[str, Any]:
        """A batch is in a replica's log."""
        return on.fact("appended", partition, as_leader=as_leader, **filters)

    @staticmethod
    def truncation(topic=None, partition=None, reason=None, **filters) -> Dict[str, Any]:
        """A replica cut its log's end."""
        return on.fact("truncated", partition, reason=reason, **filters)

    @staticmethod
    def flush(topic=None, partition=None, **filters) -> Dict[str, Any]:
        """A sync of a log succeeded."""
        return on.fact("flushed", partition, **filters)

    @staticmethod
    def acknowledgement(topic=None, partition=None, acks=None, **filters) -> Dict[str, Any]:
        """A produce answer without an error was handed to the network."""
        return on.fact("produce_answered", partition, acks=acks, error=False, **filters)

    @staticmethod
    def isr_change(topic=None, partition=None, **filters) -> Dict[str, Any]:
        """The controller committed another state of the partition."""
        return on.fact("partition_changed", partition, **filters)

    @staticmethod
    def start(of) -> Dict[str, Any]:
        """A node's process starts."""
        return on.fact("started", by=of)

    @staticmethod
    def end(of) -> Dict[str, Any]:
        """A node's process ends, however."""
        return on.fact("ended", by=of)


def _deed(verb, value, lasting=None, **more):
    step = {verb: value, **more}
    if lasting is not None:
        step["for"] = duration(lasting, "lasting")
    return step


def crash(target, lasting=None, answers=None) -> Dict[str, Any]:
    """The process ends as by SIGKILL; its page cache lives on. It starts again after `lasting`, else when it is told to, or at
    the healing. `answers`: what the turn under way had to send ("drawn", "none", "all")."""
    return _deed("kill", who(target), lasting, **({} if answers is None else {"answers": answers}))


def crash_in_write(target, lasting=None) -> Dict[str, Any]:
    """Killed within its next turn that writes: a drawn prefix of it remains."""
    return _deed("kill_in_write", who(target), lasting)


def power_loss(target, lasting=None) -> Dict[str, Any]:
    """The machines lose power at one moment, and what no sync has covered is kept, torn or lost."""
    return _deed("power", who(target), lasting)


def pause(target, lasting=None) -> Dict[str, Any]:
    """The process stands still; also a client's or the controller's."""
    return _deed("pause", who(target), lasting)


def resume(target) -> Dict[str, Any]:
    """Goes on after a pause."""
    return _deed("resume", who(target))


def stop(target, lasting=None) -> Dict[str, Any]:
    """Asked to stop cleanly."""
    return _deed("stop", who(target), lasting)


def start(target) -> Dict[str, Any]:
    """Started again."""
    return _deed("start", who(target))


def wipe(target, lasting=None) -> Dict[str, Any]:
    """Killed, and its disk is empty at the next start."""
    return _deed("wipe", who(target), lasting)


def partition(one, other="brokers", lasting=None, one_way=False) -> Dict[str, Any]:
    """Nothing passes between the two sides; bytes on the way are held. `one_way`: only what `one` sends is held."""
    ends = {"from": who(one), "to": who(other)} if one_way else {"between": who(one), "and": who(other)}
    return _deed("cut", ends, lasting)


def mend(one=None, other="brokers", one_way=False) -> Dict[str, Any]:
    """What was cut passes again; without arguments all of it."""
    if one is None:
        return {"mend": {"all": True}}
    return {"mend": {"from": who(one), "to": who(other)} if one_way else {"between": who(one), "and": who(other)}}


def slow(target, by, lasting=None) -> Dict[str, Any]:
    """All links of a broker take `by` more for each packet."""
    return _deed("slow", {"who": who(target), "by": duration(by, "by")}, lasting)


def links(target, lasting=None, **what) -> Dict[str, Any]:
    """A broker's links: bytes_per_second, swallow_above (bytes), or refused=True."""
    return _deed("links", {"who": who(target), **what}, lasting)


def reset(one, other="brokers") -> Dict[str, Any]:
    """Connections break; bytes on the way are gone."""
    return {"reset": {"between": who(one), "and": who(other)}}


def disk(target, lasting=None, **what) -> Dict[str, Any]:
    """Trouble of a disk, by the keys of scenarios/SCHEMA.md: stalls=True, slower=10, fails_writes=1_000_000 (of a million),
    fails_syncs, full_after (bytes), lies, rots=True, unreadable=True, misdirects=True, loses_a_directory=True, well=True, …"""
    return _deed("disk", {"of": who(target), **what}, lasting)


def clock(target, steps=None, drifts=None, lasting=None) -> Dict[str, Any]:
    """A clock's trouble: the wall clock jumps by `steps` (seconds, or text), or both clocks run `drifts` millionths faster."""
    what = {"of": who(target)}
    if steps is not None:
        what["steps"] = duration(steps, "steps")
    if drifts is not None:
        what["drifts"] = drifts
    return _deed("clock", what, lasting)


def move_leader(to, partition=0) -> Dict[str, Any]:
    """Leadership moves without a crash, as by an administrator's preferred election."""
    return {"move_leader": {"to": who(to), "partition": partition}}


def elect_unclean(partition=0, lasting=None) -> Dict[str, Any]:
    """An unclean election by an administrator, of a partition without a leader."""
    return _deed("elect_unclean", {"partition": partition}, lasting)


def configure(**options) -> Dict[str, Any]:
    """Options of the topic, as an administrator sets them; min_insync is short for min.insync.replicas."""
    return {"configure": option_names(options)}


def option_name(key) -> str:
    """Kafka's name of an option that is spelt as a Python name."""
    if key in ("min_insync", "min_isr"):
        return "min.insync.replicas"
    return key.replace("_", ".")


def option_names(options) -> Dict[str, Any]:
    """Options by Kafka's names; those that are None are left at their defaults."""
    return {option_name(key): value for key, value in options.items() if value is not None}
