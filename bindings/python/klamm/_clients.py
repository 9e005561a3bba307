"""Producers and consumers of a world. Each is a node of its own; what it is told to do it does in virtual time."""
from typing import List, Optional, Union

from ._errors import NotYet, PollFailed, Refused, SendFailed, SendUnknown

SECOND = 1_000_000_000


def nanoseconds(seconds, what):
    """Seconds as nanoseconds; `what` names them in the sentence of Refused."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or seconds < 0:
        raise Refused(f"{what}: expected seconds that are not below zero, found {seconds!r}")
    return round(seconds * SECOND)


def murmur2(data: bytes) -> int:
    """Kafka's hash of a key, 32 bits, as its default partitioner takes it.

    >>> hex(murmur2(b"klamm") & 0x7fffffff)[:2]
    '0x'
    """
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    h = (0x9747B28C ^ len(data)) & mask
    whole = len(data) // 4 * 4
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at:at + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
    rest = data[whole:]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


class Record:
    """A record as it was read: topic, partition, offset, key (bytes or None), value (bytes), timestamp (milliseconds since
    1970)."""

    __slots__ = ("topic", "partition", "offset", "key", "value", "timestamp")

    def __init__(self, partition, offset, key, value, timestamp, topic):
        self.partition, self.offset, self.key, self.value, self.timestamp = partition, offset, key, value, timestamp
        self.topic = topic

    def __repr__(self):
        return f"Record(partition={self.partition}, offset={self.offset}, key={self.key!r}, value={self.value!r})"

    def __eq__(self, other):
        return isinstance(other, Record) and all(getattr(self, n) == getattr(other, n) for n in self.__slots__)

    __hash__ = None


class Producer:
    """A producer node of the world. Made by World.producer()."""

    def __init__(self, world, number, acks, patience):
        self._world, self._number, self._acks, self._patience = world, number, acks, patience
        self._unkeyed = 0
        self.name = f"producer-{number}"

    def send(self, topic: str, value: Union[bytes, str], key: Union[bytes, str, None] = None,
             partition: Optional[int] = None) -> Optional[int]:
        """Sends one record and lets virtual time pass until its fate is known. Gives its offset (None with acks=0).

        `key`, `value`: bytes or str (as UTF-8). Without `partition`, Kafka's partitioner chooses by the key; records without
        a key go round. In the simulated log eight bytes that name the record for the judge precede the value.
        Raises SendFailed (certainly not written), SendUnknown (may be written), NotYet.
        """
        return self.send_soon(topic, value, key, partition).offset()

    def send_soon(self, topic: str, value: Union[bytes, str], key: Union[bytes, str, None] = None,
                  partition: Optional[int] = None) -> "Pending":
        """Hands one record over and gives a Pending at once; time passes elsewhere."""
        world = self._world
        world._check_topic(topic)
        key, value = _bytes(key, "key"), _bytes(value, "value")
        if value is None:
            raise Refused("value: a record that is sent here has one; deletions are not there yet")
        if partition is None:
            if key is None:
                partition = self._unkeyed % world.partitions
                self._unkeyed += 1
            else:
                partition = (murmur2(key) & 0x7FFFFFFF) % world.partitions
        number = world._do("send", self._number, partition, key, value)
        return Pending(self, number, partition)

    def __repr__(self):
        return f"<{self.name} of {self._world!r}>"


class Pending:
    """A record on its way."""

    def __init__(self, producer, number, partition):
        self._producer, self._number, self.partition = producer, number, partition
        self._outcome = None

    def _look(self, limit):
        if self._outcome is None:
            producer = self._producer
            self._outcome = producer._world._w.sent(producer._number, self._number, limit)
        return self._outcome

    @property
    def over(self) -> bool:
        """Whether its fate is known by now."""
        return self._look(0) is not None

    def offset(self) -> Optional[int]:
        """Lets time pass until its fate is known; gives the offset, or raises as Producer.send does."""
        producer = self._producer
        world = producer._world
        found = self._look(world._w.now + producer._patience)
        if found is None:
            raise NotYet(f"record {self._number} of {producer.name} has no fate after {producer._patience / SECOND:g} s")
        outcome, offset, error = found
        where = f"record {self._number} of {producer.name} to {world.topic}-{self.partition}"
        if outcome == "failed":
            raise SendFailed(f"{where} failed: {error}", error)
        if outcome == "unknown":
            raise SendUnknown(f"{where} may or may not be in the log: {error}", error)
        return offset if offset >= 0 else None


class Consumer:
    """A consumer node that reads partitions by assignment. Made by World.consumer()."""

    def __init__(self, world, number):
        self._world, self._number = world, number
        self._turn = 0
        self.name = f"consumer-{number}"

    def poll(self, partition: Optional[int] = None, seconds: float = 5) -> List[Record]:
        """Reads from where it stands; lets virtual time pass until there are records, at most about `seconds`. Gives a list of
        Record, empty when there was nothing. Without `partition`, partitions take turns.

        A position that has become void (a truncation, retention) is looked up anew and read on. Raises PollFailed.
        """
        world = self._world
        limit = world._w.now + nanoseconds(seconds, "seconds")
        error = None
        while world._w.now < limit:
            which = partition
            if which is None:
                which = self._turn % world.partitions
                self._turn += 1
            operation = world._do("read", self._number, "poll", which, 0)
            found = world._w.polled(self._number, operation, limit + 60 * SECOND)
            if found is None:
                raise NotYet(f"{self.name} has no answer from {world.topic}-{which}")
            error, reset, _, _, _, records = found
            if records:
                return [Record(which, offset, key, value, timestamp, world.topic) for offset, timestamp, key, value in records]
            if error == "NONE" and not reset and partition is None and self._turn % world.partitions:
                continue
        if error not in (None, "NONE", "OFFSET_OUT_OF_RANGE"):
            raise PollFailed(f"{self.name} was told {error}", error)
        return []

    def read_all(self, partition: Optional[int] = None, seconds: float = 60) -> List[Record]:
        """Reads until the end that the log has now. Gives the records in order of partition and offset."""
        which = range(self._world.partitions) if partition is None else [partition]
        records = []
        deadline = self._world.now + seconds
        for one in which:
            end = self.latest(one)
            while (self.position(one) or 0) < end:
                if self._world.now > deadline:
                    raise NotYet(f"{self.name} stands at {self.position(one)} of {end} in partition {one}")
                records += self.poll(one, seconds=1)
        return records

    def latest(self, partition: int = 0) -> int:
        """Where the log ends for a consumer (its high watermark), asked of the leader."""
        world = self._world
        operation = world._do("read", self._number, "latest", partition, 0)
        found = world._w.polled(self._number, operation, world._w.now + 120 * SECOND)
        if found is None:
            raise NotYet(f"{self.name} was not told where {world.topic}-{partition} ends")
        if found[0] != "NONE":
            raise PollFailed(f"{self.name} was told {found[0]}", found[0])
        return found[2]

    def seek(self, offset: Union[int, str], partition: int = 0) -> None:
        """The next poll of this partition reads from `offset`; "start" and "end" are the log's ends."""
        word = offset if offset in ("start", "end") else "offset"
        self._world._do("read", self._number, word, partition, 0 if word != "offset" else offset)

    def position(self, partition: int = 0) -> Optional[int]:
        """Where the next poll reads; None until it is known."""
        return self._world._w.position(self._number, partition)


def _bytes(value, what):
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    raise Refused(f"{what}: expected bytes or text, found {value!r}")
