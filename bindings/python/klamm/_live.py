"""Real clusters: Klamm's own clients (core/client) on real sockets, each with threads of its own. Calls wait in real time and let
other Python threads run. Times are seconds."""
import json
import os
import time
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, List, Optional, Sequence, Tuple, Union

from . import _klamm, _words
from ._clients import Record, _bytes, murmur2
from ._errors import ClusterRefused, NotYet, PollFailed, Refused, SendFailed, SendUnknown

# What passes by itself: who polls on is served. Only what does not is told.
PASSING = ("NONE", "REQUEST_TIMED_OUT", "NOT_LEADER_OR_FOLLOWER", "LEADER_NOT_AVAILABLE", "FENCED_LEADER_EPOCH",
           "UNKNOWN_LEADER_EPOCH", "OFFSET_NOT_AVAILABLE", "REPLICA_NOT_AVAILABLE", "KAFKA_STORAGE_ERROR", "NETWORK_EXCEPTION",
           "UNKNOWN_TOPIC_ID", "REBALANCE_IN_PROGRESS")

if TYPE_CHECKING:
    from ._member import LiveMember

Bootstrap = Union[str, Sequence[str]]
At = Tuple[str, int]  # a partition: its topic and its number


def _servers(bootstrap):
    servers = bootstrap.split(",") if isinstance(bootstrap, str) else list(bootstrap)
    for server in servers:
        host, colon, port = str(server).rpartition(":")
        if not (host and colon and port.isdigit() and 0 < int(port) < 65536):
            raise Refused(f"expected host:port, found {server!r}")
    return servers


def _seconds(value, what):
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1e9:
        raise Refused(f"{what}: expected seconds that are not below zero, found {value!r}")
    return float(value)


def _text(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def _texts(options):
    return [(_words.option_name(key), _text(value)) for key, value in options.items() if value is not None]


def _count(value, what, least=1):
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise Refused(f"{what}: expected a whole number from {least}, found {value!r}")
    return value


def connect(bootstrap: Bootstrap = "localhost:9092", seconds: float = 10) -> "Cluster":
    """A real cluster, ours or Apache Kafka's: klamm.connect("localhost:9092"), more addresses with commas or as a list. Raises
    NotYet when nobody answers within `seconds`."""
    return Cluster(bootstrap, seconds)


class Cluster:
    """A cluster that answers at `bootstrap`: producers, consumers, topics, configurations. Made by klamm.connect(). What the
    cluster refuses is ClusterRefused, with Kafka's name of the error and the sentence that `klamm topics` prints.

    Topic options are Kafka's, spelt with underscores (min_insync_replicas=2, also min_insync=2; retention_ms=…)."""

    def __init__(self, bootstrap: Bootstrap, seconds: float = 10):
        self.bootstrap = _servers(bootstrap)
        self.seconds = _seconds(seconds, "seconds")
        self._counts: Dict[str, Tuple[float, int]] = {}
        self._clients: List[Any] = []
        self.brokers()

    def __repr__(self):
        return f"<Cluster {','.join(self.bootstrap)}>"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self) -> None:
        """Closes the producers and consumers that were made here; what producers still had under way is waited for, at most
        the seconds of connect()."""
        for client in self._clients:
            client.close()
        self._clients = []

    def _ask(self, what, **arguments):
        return json.loads(_klamm.administer(self.bootstrap, self.seconds, what, json.dumps(arguments)))

    # --- Clients
    def producer(self, acks: Union[str, int] = "all", idempotent: Optional[bool] = None, *, max_block: float = 60,
                 **options: Any) -> "LiveProducer":
        """A producer. acks: "all", 1 or 0. idempotent: by default where acks is "all". max_block: seconds that a record waits
        for room in the buffer (32 MiB). Options are Kafka's, spelt with underscores (linger_ms=5,
        compression_type="zstd", delivery_timeout_ms=10_000). Raises Refused."""
        if idempotent is None:
            idempotent = acks in ("all", -1)
        settings = {"acks": acks, "enable_idempotence": idempotent, **options}
        client = LiveProducer(self, _klamm.LiveProducer(self.bootstrap, _texts(settings), _seconds(max_block, "max_block")),
                              max_block + options.get("delivery_timeout_ms", 120_000) / 1000 + 5)
        self._clients.append(client)
        return client

    def member(self, group: str, *topics: str, begin: str = "earliest", on_assign: Optional[Callable[[List[At]], Any]] = None,
               on_revoke: Optional[Callable[[List[At]], Any]] = None, on_lose: Optional[Callable[[List[At]], Any]] = None,
               **options: Any) -> "LiveMember":
        """A member of a consumer group, which shares these topics out among its members. It joins with its first poll().

        begin: where it reads what the group has committed nothing of. on_assign, on_revoke, on_lose: called within poll() with
        the (topic, partition) pairs that came, that are to be given up (and may be committed until it returns), that are gone.
        Options are Kafka's (enable_auto_commit=False, session_timeout_ms=10_000, group_instance_id="a",
        partition_assignment_strategy="cooperative-sticky"). Raises Refused."""
        from ._member import LiveMember
        if begin not in ("earliest", "latest"):
            raise Refused(f"begin: expected earliest or latest, found {begin!r}")
        settings = {"group_id": group, "auto_offset_reset": begin, "fetch_max_wait_ms": 50, **options}
        client = LiveMember(self, _klamm.LiveGroup(self.bootstrap, _texts(settings), list(topics)),
                            {"assigned": on_assign, "revoked": on_revoke, "lost": on_lose})
        self._clients.append(client)
        return client

    def consumer(self, *topics: str, begin: str = "earliest", partitions: Optional[Iterable[int]] = None,
                 **options: Any) -> "LiveConsumer":
        """A consumer of all partitions of these topics, or of some `partitions` of one, without a group. begin: "earliest" or
        "latest". Options are Kafka's (fetch_max_wait_ms=100, isolation_level="read_committed"). Raises Refused, and
        ClusterRefused where there is no such topic."""
        if not topics:
            raise Refused("consumer: expected a topic")
        if begin not in ("earliest", "latest"):
            raise Refused(f"begin: expected earliest or latest, found {begin!r}")
        if partitions is not None and len(topics) != 1:
            raise Refused("partitions: expected one topic beside them")
        assigned = []
        for topic in topics:
            count = self._partitions(topic, create=False)
            for one in range(count) if partitions is None else partitions:
                if not 0 <= one < count:
                    raise Refused(f"partition {one}: topic {topic} has {count} partitions")
                assigned.append((topic, one))
        # A broker answers one fetch a connection at a time: many partitions that hold each of theirs would wait in a row.
        settings = {"auto_offset_reset": begin, "fetch_max_wait_ms": max(10, 200 // len(assigned)), **options}
        client = LiveConsumer(self, _klamm.LiveConsumer(self.bootstrap, _texts(settings), assigned, begin), assigned)
        self._clients.append(client)
        return client

    def _partitions(self, topic, create):
        """How many partitions a topic has, as it was told within the last minute."""
        if not isinstance(topic, str) or not topic:
            raise Refused(f"topic: expected a name, found {topic!r}")
        known = self._counts.get(topic)
        if known and time.monotonic() < known[0] + 60:
            return known[1]
        until = time.monotonic() + self.seconds
        while True:
            try:
                count = self._ask("partitions", topic=topic, create=create)
                break
            except ClusterRefused as refused:
                # Being made just now, or known to another broker already.
                passing = ("LEADER_NOT_AVAILABLE", "UNKNOWN_TOPIC_OR_PARTITION") if create else ("LEADER_NOT_AVAILABLE",)
                if refused.error not in passing or time.monotonic() > until:
                    raise
                time.sleep(0.05)
        self._counts[topic] = (time.monotonic(), count)
        return count

    # --- Administration
    def brokers(self) -> List[Dict[str, Any]]:
        """The brokers that live: id, host, port."""
        return self._ask("brokers")

    def topics(self, internal: bool = False) -> List[str]:
        """The names of all topics, in order; without `internal` those that users made."""
        return [one for one in self._ask("topics") if internal or not one.startswith("__")]

    def describe(self, topic: str) -> Dict[str, Any]:
        """A topic: name, id, internal, and its partitions with leader (None: there is none), replicas, isr and elr, broker
        ids."""
        parts = self._ask("describe", topics=[topic])
        return {**parts[0], "partitions": [row for part in parts for row in part["partitions"]]}

    def create_topic(self, topic: str, partitions: int = -1, replication: int = -1, **options: Any) -> None:
        """Makes a topic; what is -1 is as the brokers have it. Its leaders may take a moment to be known everywhere."""
        configs = dict(_texts(options))
        self._ask("create", topic=topic, partitions=_count(partitions, "partitions", -1),
                  replication=_count(replication, "replication", -1), configs=configs)

    def add_partitions(self, topic: str, count: int) -> None:
        """Raises the number of a topic's partitions to `count`."""
        self._ask("add_partitions", topic=topic, count=_count(count, "count"))
        self._counts.pop(topic, None)

    def delete_topic(self, topic: str) -> None:
        """Deletes a topic with all that it holds."""
        self._ask("remove", topic=topic)
        self._counts.pop(topic, None)

    def configs(self, topic: Optional[str] = None, broker: Optional[int] = None) -> Dict[str, Dict[str, Any]]:
        """Options of a topic, of a broker, or without both what is set for all brokers: by name value, source (as
        "DYNAMIC_TOPIC_CONFIG"), sensitive, read_only."""
        return {one.pop("name"): one for one in self._ask("configs", **_owner(topic, broker))}

    def set_configs(self, topic: Optional[str] = None, broker: Optional[int] = None, **options: Any) -> None:
        """Sets options of a topic, of a broker, or without both of all brokers; one that is None goes back to its default."""
        changes = {_words.option_name(key): None if value is None else _text(value) for key, value in options.items()}
        if not changes:
            raise Refused("set_configs: expected at least one option")
        self._ask("set_configs", changes=changes, **_owner(topic, broker))


def _owner(topic, broker):
    if topic is not None and broker is not None:
        raise Refused("expected a topic or a broker, found both")
    return {"topic": topic} if topic is not None else {"broker": broker}


class _Owned:
    """Whoever holds a client of C++: until it is closed, and in the process that made it."""

    def __init__(self, cluster, client):
        self._cluster, self._client, self._process = cluster, client, os.getpid()

    @property
    def _c(self):
        if self._client is None:
            raise Refused("this client was closed")
        if os.getpid() != self._process:
            raise Refused("this client belongs to another process: its threads are not here")
        return self._client

    @property
    def _gone(self):
        return self._client is None or os.getpid() != self._process


class LiveProducer(_Owned):
    """A producer of a real cluster. Made by Cluster.producer()."""

    def __init__(self, cluster, client, patience):
        super().__init__(cluster, client)
        self._patience, self._unkeyed = patience, 0

    def send(self, topic: str, value: Union[bytes, str], key: Union[bytes, str, None] = None,
             partition: Optional[int] = None) -> Optional[int]:
        """Sends one record and waits for its fate. Gives its offset (None with acks=0).

        `key`, `value`: bytes or str (as UTF-8). Without `partition`, Kafka's partitioner chooses by the key; records without
        a key go round. A topic that is not there is made where the brokers make topics for who asks. Raises SendFailed
        (certainly not written), SendUnknown (may be written), ClusterRefused, NotYet."""
        return self.send_soon(topic, value, key, partition).offset()

    def send_soon(self, topic: str, value: Union[bytes, str], key: Union[bytes, str, None] = None,
                  partition: Optional[int] = None) -> "LivePending":
        """Hands one record over and gives a LivePending at once."""
        client = self._c
        key, value = _bytes(key, "key"), _bytes(value, "value")
        if value is None:
            raise Refused("value: a record that is sent here has one; deletions are not there yet")
        count = self._cluster._partitions(topic, create=True)
        if partition is None:
            if key is None:
                partition = self._unkeyed % count
                self._unkeyed += 1
            else:
                partition = (murmur2(key) & 0x7FFFFFFF) % count
        elif isinstance(partition, bool) or not isinstance(partition, int) or not 0 <= partition < count:
            raise Refused(f"partition {partition}: topic {topic} has {count} partitions")
        return LivePending(self, client, client.send(topic, partition, key, value), topic, partition)

    def flush(self, seconds: Optional[float] = None) -> None:
        """Waits until the fate of all that was sent is known. Raises NotYet."""
        seconds = self._patience if seconds is None else _seconds(seconds, "seconds")
        if self._c.wait(self._c.flush(), seconds) is None:
            raise NotYet(f"not all that was sent has a fate after {seconds:g} s")

    def close(self) -> None:
        """Waits for what is under way, at most the seconds of connect(), and closes its connections. What has no fate then is
        of unknown outcome."""
        if not self._gone:
            self._c.wait(self._c.flush(), self._cluster.seconds)
            self._client = None


class LivePending:
    """A record on its way to a real cluster."""

    def __init__(self, producer, client, number, topic, partition):
        self._producer, self._client, self._number = producer, client, number
        self.topic, self.partition = topic, partition
        self._outcome = None

    def __del__(self):
        if getattr(self, "_outcome", True) is None and not self._producer._gone:
            self._client.forget(self._number)

    def _look(self, seconds):
        if self._outcome is None:
            self._outcome = self._client.wait(self._number, seconds)
        return self._outcome

    @property
    def over(self) -> bool:
        """Whether its fate is known by now."""
        return self._look(0.0) is not None

    def offset(self, seconds: Optional[float] = None) -> Optional[int]:
        """Waits until its fate is known; gives the offset, or raises as LiveProducer.send does."""
        seconds = self._producer._patience if seconds is None else _seconds(seconds, "seconds")
        found = self._look(seconds)
        if found is None:
            raise NotYet(f"a record to {self.topic}-{self.partition} has no fate after {seconds:g} s")
        outcome, error, offset = found[:3]
        if outcome == "failed":
            raise SendFailed(f"a record to {self.topic}-{self.partition} failed: {error}", error)
        if outcome == "unknown":
            raise SendUnknown(f"a record to {self.topic}-{self.partition} may or may not be in the log: {error}", error)
        return offset if offset >= 0 else None


class LiveConsumer(_Owned):
    """A consumer of assigned partitions of a real cluster. Made by Cluster.consumer()."""

    def __init__(self, cluster, client, assigned):
        super().__init__(cluster, client)
        #: The partitions that it reads, as (topic, number).
        self.assigned = list(assigned)

    def poll(self, seconds: float = 5, records: int = 500) -> List[Record]:
        """Reads on: waits until there is something, at most `seconds`, and gives up to `records` of it, in order within each
        partition. Empty when there was nothing. Raises PollFailed at an error that does not pass by itself."""
        seconds = _seconds(seconds, "seconds")
        found = self._c.wait(self._c.poll(seconds, _count(records, "records")), seconds + self._cluster.seconds + 60)
        if found is None:
            raise NotYet(f"no answer to a poll after {seconds + self._cluster.seconds + 60:g} s")
        error, rows = found[1], found[3]
        if not rows and error not in PASSING:
            raise PollFailed(f"the consumer was told {error}", error)
        return [Record(partition, offset, key, value, timestamp, topic)
                for topic, partition, offset, timestamp, key, value in rows]

    def read_all(self, seconds: float = 60) -> List[Record]:
        """Reads until the ends that the logs have now. Gives the records in order of topic, partition and offset. Raises NotYet."""
        ends = {at: self.end(at[1], at[0]) for at in self.assigned}
        until, records = time.monotonic() + _seconds(seconds, "seconds"), []
        while True:
            stand = self.positions()
            behind = [at for at, end in ends.items() if stand.get(at, -1) < end]
            if not behind:
                return sorted((one for one in records if one.offset < ends[one.topic, one.partition]),
                              key=lambda one: (one.topic, one.partition, one.offset))
            if time.monotonic() > until:
                raise NotYet(f"{len(behind)} partitions were not read to their ends after {seconds:g} s")
            records += self.poll(0.5)

    def _at(self, partition, topic):
        if topic is None:
            if len({name for name, _ in self.assigned}) != 1:
                raise Refused("topic: expected one of " + ", ".join(sorted({name for name, _ in self.assigned})))
            topic = self.assigned[0][0]
        if (topic, partition) not in self.assigned:
            raise Refused(f"{topic}-{partition} is not assigned to this consumer")
        return topic, partition

    def _offset(self, partition, topic, when):
        topic, partition = self._at(partition, topic)
        found = self._c.wait(self._c.ask_offset(topic, partition, when), self._cluster.seconds + 60)
        if found is None:
            raise NotYet(f"nobody told about {topic}-{partition}")
        if found[1] != "NONE":
            raise PollFailed(f"the consumer was told {found[1]}", found[1])
        return found[2]

    def end(self, partition: int = 0, topic: Optional[str] = None) -> int:
        """Where the log ends for a consumer (its high watermark), asked of the leader."""
        return self._offset(partition, topic, -1)

    def start(self, partition: int = 0, topic: Optional[str] = None) -> int:
        """Where the log begins."""
        return self._offset(partition, topic, -2)

    def offset_at(self, milliseconds: int, partition: int = 0, topic: Optional[str] = None) -> Optional[int]:
        """The first offset with this timestamp or a later one (milliseconds since 1970); None when there is none."""
        found = self._offset(partition, topic, _count(milliseconds, "milliseconds", 0))
        return None if found < 0 else found

    def seek(self, offset: Union[int, str], partition: int = 0, topic: Optional[str] = None) -> None:
        """The next poll of this partition reads from `offset`; "start" and "end" are the log's ends."""
        topic, partition = self._at(partition, topic)
        if offset in ("start", "end"):
            number = self._c.seek_to_end(topic, partition, offset == "start")
        else:
            number = self._c.seek(topic, partition, _count(offset, "offset", 0))
        if self._c.wait(number, self._cluster.seconds + 60) is None:
            raise NotYet(f"a poll of {topic}-{partition} stands in the way")

    def positions(self) -> Dict[Tuple[str, int], int]:
        """Where each partition is read on, by (topic, partition); those that have not been looked up yet are missing."""
        found = self._c.wait(self._c.ask_positions(), self._cluster.seconds)
        if found is None:
            raise NotYet("the consumer does not answer")
        return found[4]

    def position(self, partition: int = 0, topic: Optional[str] = None) -> Optional[int]:
        """Where the next poll reads; None until it is known."""
        return self.positions().get(self._at(partition, topic))

    def close(self) -> None:
        """Closes its connections."""
        self._client = None if not self._gone else self._client
