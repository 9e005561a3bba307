"""A world that is driven step by step: brokers and clients of the simulator, a judge, and whatever is done to them.

Virtual time passes only in calls that say so: run(), send(), poll(), verdict(), and for a millisecond when a client is made.
Times are seconds of virtual time since the world began. The same seed and the same calls give the same world, bit by bit
(`World.hash`).
"""
import functools
import json
import pickle
import random
import sys
import traceback
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Sequence, Tuple, TypeVar, Union

from . import _klamm, _words
from ._clients import SECOND, Consumer, Producer, nanoseconds
from ._errors import Died, Missed, NotDeterministic, NotYet, Refused
from ._told import Bill, Fact, Verdict

if TYPE_CHECKING:
    import pandas

T = TypeVar("T")
Seconds = Union[int, float, str]  # text as in scenario files: "1500ms"
Target = Union[str, int, Sequence[Union[str, int]], None]  # whom: see klamm.crash


class World:
    """A simulated cluster under a judge.

    brokers: how many (1 to 9). controllers: a quorum of so many (1 to 5), whose machines may fail; None: one metadata node that
    never does. topics: one topic, {"orders": dict(partitions=4, replication=3, min_insync=2, …)}, with any of
    Kafka's topic options spelt with underscores. seed: names the world. timers: "short" (Kafka's divided by about ten) or
    "default". elr: KIP-966's eligible leader replicas. plant: the code of a bug to plant ("R2"). broker_options,
    network, disks: as in scenario files. producers: a background load, objects of scenario files ([{"every": "10ms"}]).
    idempotent: whether a record that is there twice is an error; False lets producers do without idempotence. history: keep the
    clients' history. trace: keep every event and fact. requests: let the deed "on" be used (every frame is then read along).

    When it is made the cluster is up: every partition has a leader and a full ISR. Raises Refused.
    """

    def __init__(self, brokers: int = 3, controllers: Optional[int] = None, seed: int = 1,
                 topics: Optional[Dict[str, Dict[str, Any]]] = None, *, shards: int = 1, elr: bool = True, timers: str = "short",
                 plant: Optional[str] = None, broker_options: Optional[Dict[str, Any]] = None,
                 network: Optional[Dict[str, Any]] = None, disks: Optional[Dict[str, Any]] = None,
                 producers: Optional[List[Dict[str, Any]]] = None, idempotent: bool = True, history: bool = True,
                 trace: bool = False, requests: bool = False, within: Seconds = 60):
        self._made = dict(brokers=brokers, controllers=controllers, seed=seed, topics=topics, shards=shards, elr=elr,
                          timers=timers, plant=plant, broker_options=broker_options, network=network, disks=disks,
                          producers=producers, idempotent=idempotent, history=history, trace=trace, requests=requests,
                          within=within)
        topics = {"orders": {}} if topics is None else topics
        if len(topics) != 1:
            raise Refused(f"topics: a world has one topic today, found {len(topics)}")
        (self.topic, settings), = topics.items()
        settings = dict(settings or {})
        self.partitions = settings.pop("partitions", 1)
        replication = settings.pop("replication", 0)
        cluster = {"brokers": brokers, "partitions": self.partitions, "shards": shards, "eligible_leader_replicas": elr,
                   "timers": timers, "options": _words.option_names(broker_options or {})}
        if controllers is not None:
            cluster["controllers"] = controllers
        setup = {"says": "a world that is driven step by step", "turned_red_by": "R1", "length": "60m",
                 "goal": {"name": "somebody leads", "reached_by": {"fact": "leads"}}, "cluster": cluster,
                 "topic": _words.option_names(settings), "network": dict(network or {}), "disks": dict(disks or {}),
                 "producers": list(producers or []) + [{}], "consumers": [{}], "story": [],
                 "healing": {"within": _words.duration(within, "within")}}
        try:
            self._w = _klamm.World(scenario=json.dumps(setup), topic=self.topic, replication=replication, seed=seed,
                                   plant=plant or "", idempotent=idempotent, history=history, trace=trace, requests=requests)
        except Refused as refused:
            raise Refused(str(refused).partition(": ")[2] or str(refused)) from None
        self.seed = seed
        #: Chance that is part of the world: a random.Random of its seed. What draws from elsewhere is no function of the seed.
        self.random = random.Random(f"klamm {seed}")
        self._journal = []
        self._findings = []
        self._watchers = {}
        if not self._w.run_until_well(30 * SECOND):
            raise NotYet("the cluster was not up after 30 s")

    def __repr__(self):
        return f"<World seed {self.seed} at {self.now:.3f} s, {self.events} events>"

    def _check_topic(self, topic):
        if topic != self.topic:
            raise Refused(f"there is no topic '{topic}'; this world has '{self.topic}'")

    def _do(self, name, *arguments):
        """Every call by which somebody outside has a say in the world goes through here, and is remembered."""
        self._journal.append((self._w.events, self._w.now, self._w.hash, name, arguments))
        return getattr(self._w, name)(*arguments)

    # --- Time
    @property
    def now(self) -> float:
        """Seconds of virtual time since the world began."""
        return self._w.now / SECOND

    @property
    def events(self) -> int:
        """Events of the world so far."""
        return self._w.events

    @property
    def hash(self) -> str:
        """The hash over all that happened, as 16 hexadecimal digits."""
        return f"{self._w.hash:016x}"

    def run(self, seconds: Optional[float] = None, until: Optional[Callable[[], bool]] = None) -> "World":
        """Lets virtual time pass: for `seconds`, or until `until()` holds (asked every 50 ms; then `seconds`, 60 unless said, is
        the limit, and NotYet is raised at it). Raises AssertionFailed when an assertion fails in a node."""
        if until is None:
            if seconds is None:
                raise Refused("run: expected seconds, or until")
            self._w.run_to(self._w.now + nanoseconds(seconds, "seconds"))
            return self
        limit = self._w.now + nanoseconds(60 if seconds is None else seconds, "seconds")
        while not until():
            if self._w.now >= limit:
                raise NotYet(f"what was waited for did not come within {60 if seconds is None else seconds:g} s")
            self._w.run_to(min(limit, self._w.now + SECOND // 20))
        return self

    def run_until_well(self, seconds: float = 60) -> "World":
        """Until every partition has a leader, a full ISR, and everything replicated. Raises NotYet."""
        if not self._w.run_until_well(self._w.now + nanoseconds(seconds, "seconds")):
            raise NotYet(f"the cluster is not well after {seconds:g} s")
        return self

    # --- Clients
    def producer(self, acks: Union[str, int] = "all", idempotent: Optional[bool] = None, **options: Any) -> Producer:
        """A new producer. acks: "all", 1 or 0. idempotent: by default where acks is "all" and the world holds to it. Options are
        Kafka's, spelt with underscores (linger_ms=5, delivery_timeout_ms=10_000)."""
        if idempotent is None:
            idempotent = acks in ("all", -1) and self._made["idempotent"]
        settings = {"acks": acks, "enable_idempotence": idempotent, **options}
        number = self._do("add_producer", _texts(settings))
        patience = (options.get("delivery_timeout_ms", 60_000) + 10_000) * 1_000_000
        return Producer(self, number, acks, patience)

    def consumer(self, topic: Optional[str] = None, begin: str = "earliest", **options: Any) -> Consumer:
        """A new consumer of all partitions, without a group. begin: "earliest" or "latest"."""
        if topic is not None:
            self._check_topic(topic)
        if begin not in ("earliest", "latest"):
            raise Refused(f"begin: expected earliest or latest, found {begin!r}")
        number = self._do("add_consumer", _texts({"auto_offset_reset": begin, **options}), begin == "earliest")
        return Consumer(self, number)

    # --- Deeds
    def do(self, *steps: Dict[str, Any]) -> "World":
        """Does what each step says, at once: an object as a story of a scenario file has it, or what the functions of klamm
        give (klamm.power_loss("leader")). Raises Refused, and Missed where it hit nobody."""
        for step in steps:
            self._do("act", json.dumps(step))
        return self

    def _who(self, target):
        return _words.who(target, self.topic)

    def crash(self, target: Target, lasting: Optional[Seconds] = None, answers: Optional[str] = None) -> "World":
        """The process ends as by SIGKILL; its page cache lives on. It stays down for `lasting` seconds, else until restart() or
        heal(). target: "broker-2", 2, "leader", "follower", "leader of orders-1", "all", a list."""
        return self.do(_words.crash(self._who(target), lasting, answers))

    def crash_in_write(self, target: Target, lasting: Optional[Seconds] = None) -> "World":
        """Killed within its next turn that writes: a drawn prefix of it remains."""
        return self.do(_words.crash_in_write(self._who(target), lasting))

    def power_loss(self, target: Target, lasting: Optional[Seconds] = None) -> "World":
        """The machines lose power at one moment: what no sync has covered is kept, torn or lost."""
        return self.do(_words.power_loss(self._who(target), lasting))

    def restart(self, target: Target) -> "World":
        """Starts brokers and controllers that are down. "all" means those that are."""
        names = self._who(target)
        if names == "brokers":
            names = [one["name"] for one in self.nodes() if one["name"].startswith(("broker-", "controller-")) and not one["up"]]
            if not names:
                raise Missed("no broker is down")
        return self.do(_words.start(names))

    def stop(self, target: Target, lasting: Optional[Seconds] = None) -> "World":
        """Asks brokers to stop cleanly."""
        return self.do(_words.stop(self._who(target), lasting))

    def pause(self, target: Target, lasting: Optional[Seconds] = None) -> "World":
        """The process stands still, as by SIGSTOP; also a client's or the controller's."""
        return self.do(_words.pause(self._who(target), lasting))

    def resume(self, target: Target) -> "World":
        """Ends pauses."""
        return self.do(_words.resume(self._who(target)))

    def wipe(self, target: Target, lasting: Optional[Seconds] = None) -> "World":
        """Killed, and its disk is empty at the next start."""
        return self.do(_words.wipe(self._who(target), lasting))

    def partition(self, one: Target, other: Target = "brokers", lasting: Optional[Seconds] = None,
                  one_way: bool = False) -> "World":
        """Nothing passes between the two sides; bytes on the way are held."""
        return self.do(_words.partition(self._who(one), self._who(other), lasting, one_way))

    def mend(self, one: Target = None, other: Target = "brokers", one_way: bool = False) -> "World":
        """What partition() cut passes again; without arguments all of it."""
        return self.do(_words.mend(None if one is None else self._who(one), self._who(other), one_way))

    def disk(self, target: Target, lasting: Optional[Seconds] = None, **what: Any) -> "World":
        """Trouble of a disk: see klamm.disk."""
        return self.do(_words.disk(self._who(target), lasting, **what))

    def configure(self, **options: Any) -> "World":
        """Sets options of the topic, as an administrator does."""
        return self.do(_words.configure(**options))

    def heal(self) -> "World":
        """Ends all trouble and starts every broker that is down (within 0.3 s). Faults may be injected again afterwards."""
        self._do("mend")
        return self

    # --- What there is
    def nodes(self) -> List[Dict[str, Any]]:
        """All nodes: name, up, paused, incarnation, disk_bytes."""
        return json.loads(self._w.nodes())

    def partition_state(self, topic: Optional[str] = None, partition: int = 0) -> Dict[str, Any]:
        """The controller's view of a partition (leader, leader_epoch, replicas, isr, elr) and the ends of the logs that are
        open (ends: {"broker-1": {"log_end": …, "high_watermark": …}})."""
        if topic is not None:
            self._check_topic(topic)
        return json.loads(self._w.partition(partition))

    def leader(self, topic: Optional[str] = None, partition: int = 0) -> Optional[str]:
        """Who leads by the controller's view ("broker-2"); None when nobody does."""
        return self.partition_state(topic, partition)["leader"]

    def isr(self, topic: Optional[str] = None, partition: int = 0) -> List[str]:
        """Who is in sync, by the controller's view."""
        return self.partition_state(topic, partition).get("isr", [])

    @property
    def bill(self) -> Bill:
        """What was promised and what became of it, so far."""
        return Bill(json.loads(self._w.bill()))

    @property
    def counts(self) -> Dict[str, int]:
        """What happened how often, so far."""
        return json.loads(self._w.counts())

    @property
    def violations(self) -> List[Dict[str, Any]]:
        """What the judge has found red so far; the judge is online."""
        return json.loads(self._w.violations())

    def history(self) -> "pandas.DataFrame":
        """The clients' history as a DataFrame, an event a row (checkers/FORMAT.md); `time` is in nanoseconds."""
        return _frame(self.history_lines())

    def history_lines(self) -> str:
        """The same as JSON lines, as klamm.check_log and `klamm check` take it."""
        return self._w.history()

    def trace(self) -> "pandas.DataFrame":
        """Every event, fact, fault and physical truth as a DataFrame. Needs World(trace=True)."""
        if not self._made["trace"]:
            raise Refused("this world keeps no trace: make it with trace=True")
        return _frame(self._w.trace())

    # --- Watching
    def on(self, *kinds: str) -> Callable[[Callable[[Fact], Any]], Callable[[Fact], Any]]:
        """A decorator: the function is called with each Fact of these kinds (klamm.fact_kinds(); none: all) between the event
        that brought it and the next one. It may do things to the world, but not let its time pass. What it raises ends the
        run() under way and comes out of it."""
        def watch(function):
            self.subscribe(function, *kinds)
            return function
        return watch

    def subscribe(self, function: Callable[[Fact], Any], *kinds: str) -> int:
        """The same as a call; gives a number for unsubscribe()."""
        return self._w.subscribe(list(kinds), lambda line: function(Fact(line)))

    def unsubscribe(self, number: int) -> None:
        """Ends a subscription."""
        self._w.unsubscribe(number)

    def report(self, sentence: str) -> None:
        """For checkers in Python: something that must not be. It turns the verdict red."""
        self._findings.append(f"{self.now:.3f} s: {sentence}")

    # --- The end, and other futures
    def verdict(self) -> Verdict:
        """Heals, waits until all is well, reads everything back, and judges; the world is over then. Gives a Verdict."""
        return Verdict(json.loads(self._w.verdict()), list(self._findings))

    def branch(self, future: Callable[["World"], T], cpu_seconds: float = 120) -> T:
        """Lets `future(world)` happen in a child process and gives what it returns (pickled); this world stays as it is. Raises
        what the future raises, and Died when the child does."""
        return in_child(functools.partial(future, self), cpu_seconds)

    def replay_to(self, event: int) -> "World":
        """A second world, alive, that has gone the same way up to this event's number: every call made on this one before that
        event is made again. Subscriptions are not. Raises NotDeterministic when the second world goes another way."""
        if event > self.events:
            raise Refused(f"event {event}: this world has had {self.events}")
        again = World(**self._made)
        for events, now, hashed, name, arguments in self._journal:
            if events >= event:
                break
            again._w.run_to(now, events)
            if again._w.now < now:
                again._w.run_to(now)
            if again._w.events != events or again._w.hash != hashed:
                raise NotDeterministic(f"the second world went another way before event {events}")
            again._do(name, *arguments)
        again._w.run_to(max(self._w.now, again._w.now), event)
        return again

    def checkpoints(self) -> str:
        """Hashes along the way, for comparing two worlds."""
        return self._w.checkpoints()


def _texts(options):
    out = []
    for key, value in options.items():
        if value is None:
            continue
        out.append((_words.option_name(key), str(value).lower() if isinstance(value, bool) else str(value)))
    return out


def _frame(lines):
    import pandas
    return pandas.DataFrame([json.loads(line) for line in lines.splitlines()])


def _call(job):
    """What a child hands back: (True, result) or (False, the exception and where it came from)."""
    try:
        return pickle.dumps((True, job()))
    except BaseException as raised:  # whatever it is, it belongs to the parent
        where = traceback.format_exc()
        try:
            return pickle.dumps((False, (raised, where)))
        except Exception:
            return pickle.dumps((False, (Died(f"{type(raised).__name__}: {raised}"), where)))


def in_child(job: Callable[[], T], cpu_seconds: float = 120) -> T:
    """job() in a child process; gives what it returns, raises what it raises. What it does to memory is gone with it."""
    sys.stdout.flush()
    sys.stderr.flush()
    good, result = pickle.loads(_klamm.in_child(lambda: _call(job), cpu_seconds))
    if good:
        return result
    raised, where = result
    raised.__cause__ = Died(f"in a child process:\n{where}")
    raise raised


def run_twice(experiment: Callable[[World], T], **made: Any) -> Tuple[T, str]:
    """experiment(world) in two child processes, each with a World(**made) of its own, and then its verdict unless it was asked
    for. Both must be one: what draws from elsewhere than `world.random`, or looks at a clock, is caught here.

    Gives (what the experiment returned, the world's hash). Raises NotDeterministic with the first event that differs."""
    def job(window=None):
        world = World(**made)
        if window:
            world._w.keep_events(*window)
        result = experiment(world)
        if not world._w.over:
            world.verdict()
        if window:
            return world._w.kept_events()
        return result, world.hash, world.checkpoints()

    first, second = in_child(job), in_child(job)
    if first[1] == second[1]:
        return first[:2]
    answers = [iter([first[2]]), iter([second[2]])]

    def checkpoints(side):
        return next(answers[side], None) or in_child(job)[2]

    sentence = _klamm.first_difference(lambda: checkpoints(0), lambda a, b: in_child(lambda: job((a, b))),
                                       lambda: checkpoints(1), lambda a, b: in_child(lambda: job((a, b))))
    raise NotDeterministic("two runs of one seed differ: " + (sentence or "they were equal when they were run again"))
