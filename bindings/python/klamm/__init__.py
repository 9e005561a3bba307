"""Klamm from Python: simulated Kafka clusters that are driven step by step, scenarios over many seeds, experiments.

    import klamm

    world = klamm.World(brokers=3, seed=7, topics={"orders": dict(partitions=4, replication=3, min_insync=2)})
    producer = world.producer(acks="all", idempotent=True)
    offset = producer.send("orders", key=b"k", value=b"v")
    world.crash(world.leader("orders", 0)); world.run(seconds=5)
    world.power_loss("all"); world.heal(); world.verdict().raise_if_red()

Start with World, Scenario, storm and sweep; for real clusters with connect and record. All errors are klamm.Error.
"""
import json as _json

from . import _klamm, rules
from ._brokers import Brokers
from ._checks import Judgement, check_linearizability, check_log
from ._clients import Consumer, Pending, Producer, Record
from ._errors import (AssertionFailed, ClusterRefused, Died, Error, Missed, NotDeterministic, NotYet, PollFailed, Red, Refused,
                      SendFailed, SendUnknown, WorldOver)
from ._explain import Distance, Divergence, KillMatrix, Why, Zoo, distance, diverge, kill_matrix, why, zoo
from ._live import Cluster, LiveConsumer, LivePending, LiveProducer, connect
from ._member import LiveMember
from ._record import Recording, record
from ._runs import Report, Run, Runs, Scenario, Shrunk, Sweep, replay, storm, sweep
from ._words import (clock, configure, crash, crash_in_write, disk, elect_unclean, links, mend, move_leader, on, partition,
                     pause, power_loss, reset, resume, slow, start, stop, wipe)
from ._told import Bill, Fact, Verdict
from ._world import World, run_twice


def catalogue() -> dict:
    """What may be asked for by name: {"profiles": […], "faults": […], "bugs": [{"code", "name", "rule", …}]}."""
    return _json.loads(_klamm.catalogue())


def fact_kinds() -> list:
    """The kinds of facts that World.on() takes."""
    return _klamm.fact_names()


__all__ = [name for name in dir() if not name.startswith("_")]
