"""Members of consumer groups of real clusters."""
import time
from typing import Dict, List, Optional

from ._clients import Record
from ._errors import NotYet, PollFailed, Refused, SendFailed, SendUnknown
from ._live import PASSING, At, _count, _Owned, _seconds


class LiveMember(_Owned):
    """A member of a consumer group of a real cluster. Made by Cluster.member().

    It must be polled, or the group takes it for dead after max.poll.interval.ms. What it commits by itself (unless
    enable_auto_commit=False) is what poll() has given out before the last call of it."""

    def __init__(self, cluster, client, handlers):
        super().__init__(cluster, client)
        self._handlers, self._assigned = handlers, set()
        #: The group's generation in which it was last given partitions; -1 before.
        self.generation = -1

    def poll(self, seconds: float = 5, records: int = 500) -> List[Record]:
        """Reads on: waits until there is something, at most `seconds`, and gives up to `records` of it. Rebalances happen in
        here. Raises PollFailed at an error that does not pass by itself."""
        until = time.monotonic() + _seconds(seconds, "seconds")
        while True:
            left = max(0.0, until - time.monotonic())
            found = self._c.wait(self._c.poll(left, _count(records, "records")), left + self._cluster.seconds + 60)
            if found is None:
                raise NotYet("no answer to a poll")
            error, rows, news = found[1], found[3], found[5]
            for what, partitions, generation, reason in news:
                self._take(what, [tuple(one) for one in partitions], generation, reason)
            if rows:
                return [Record(partition, offset, key, value, timestamp, topic)
                        for topic, partition, offset, timestamp, key, value in rows]
            if time.monotonic() >= until:
                if error not in PASSING:
                    raise PollFailed(f"the member was told {error}", error)
                return []

    def _take(self, what, partitions, generation, reason):
        if what == "assigned":
            self._assigned |= set(partitions)
            self.generation = generation
        if what == "lost":
            self._assigned -= set(partitions)
        if what == "failed":
            raise PollFailed(f"the group was told of {reason}" if reason == "NONE" else f"the group answered {reason}", reason)
        if what == "no_offset":
            raise PollFailed("nothing is committed for " + ", ".join(f"{t}-{p}" for t, p in sorted(partitions)),
                             "NO_OFFSET")
        try:
            handler = self._handlers.get(what)
            if handler is not None:
                handler(sorted(partitions))
        finally:
            if what == "revoked":
                self._assigned -= set(partitions)
                self._c.wait(self._c.go_on(), self._cluster.seconds)

    @property
    def assigned(self) -> List[At]:
        """What it owns, as (topic, partition), as of the last poll()."""
        return sorted(self._assigned)

    def commit(self, offsets: Optional[Dict[At, int]] = None, seconds: float = 30) -> None:
        """Commits offsets: by (topic, partition) where to read on; without them, what was given out of all that it owns.
        Raises SendFailed when the group refuses (the partitions may be somebody else's), SendUnknown when nobody tells, NotYet."""
        seconds = _seconds(seconds, "seconds")
        found = self._c.wait(self._c.commit(offsets, seconds), seconds + 5)
        if found is None:
            raise NotYet(f"no answer to a commit after {seconds:g} s")
        if found[0] == "failed":
            raise SendFailed(f"the commit failed: {found[1]}", found[1])
        if found[0] == "unknown":
            raise SendUnknown(f"the commit may or may not count: {found[1]}", found[1])

    def committed(self, *partitions: At, seconds: float = 30) -> Dict[At, int]:
        """What the group has committed, of these partitions, else of what it owns; those without an offset are missing.
        Raises PollFailed, NotYet."""
        found = self._c.wait(self._c.ask_committed(list(partitions) or self.assigned, _seconds(seconds, "seconds")), seconds + 5)
        if found is None:
            raise NotYet(f"nobody told what is committed after {seconds:g} s")
        if found[1] != "NONE":
            raise PollFailed(f"the member was told {found[1]}", found[1])
        return found[4]

    def positions(self) -> Dict[At, int]:
        """Where each partition that it owns is read on; those that have not been looked up yet are missing."""
        found = self._c.wait(self._c.ask_positions(), self._cluster.seconds)
        if found is None:
            raise NotYet("the member does not answer")
        return found[4]

    def seek(self, offset: int, partition: int = 0, topic: Optional[str] = None) -> None:
        """The next poll of this partition, which it must own, reads from `offset`. Raises Refused, NotYet."""
        if topic is None:
            topic = self.assigned[0][0] if self._assigned else ""
        found = self._c.wait(self._c.seek(topic, partition, _count(offset, "offset", 0)), self._cluster.seconds + 60)
        if found is None:
            raise NotYet(f"a poll of {topic}-{partition} stands in the way")
        if found[0] == "failed":
            raise Refused(f"{topic}-{partition} is not this member's")

    def close(self) -> None:
        """Leaves the group in order, so that the others need not wait for its session to end."""
        if not self._gone:
            self._c.wait(self._c.leave(), self._cluster.seconds)
            self._client = None
