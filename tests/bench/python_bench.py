#!/usr/bin/python3
"""A world driven from Python against the same scenario in C++, in events a CPU second; what a checker in Python costs; what a
call costs. Best of ROUNDS each, since other programs disturb.

Usage: PYTHONPATH=build/release/python tests/bench/python_bench.py [SECONDS] [ROUNDS]
"""
import sys
import time

import klamm

LENGTH = float(sys.argv[1]) if len(sys.argv) > 1 else 20
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 3
LOAD = [{"every": "1ms"}, {"every": "1ms"}]
TOPIC = {"min.insync.replicas": 2}


def in_cpp():
    """The scenario in a process of its own: all of it is C++."""
    scenario = klamm.Scenario({"says": "Clients write; nothing else.", "turned_red_by": "R1", "length": f"{LENGTH:g}s",
                               "goal": {"name": "somebody leads", "reached_by": {"fact": "leads"}}, "topic": TOPIC,
                               "producers": LOAD, "consumers": [], "story": []})
    run, = scenario.run(seeds=[1], jobs=1, progress=False)
    assert run.verdict == "passed", run.sentence
    return run.document["events"], run.document["cpu_ns"] / 1e9, run.counts["facts"]


def in_python(checker=None, step=None):
    """The same cluster and clients as a World, up to the same moment, then the same verdict."""
    began = time.process_time()
    world = klamm.World(seed=1, topics={"trial": {"min_insync": 2}}, producers=[{**one, "ends": f"{LENGTH:g}s"} for one in LOAD],
                        history=False)
    if checker:
        world.subscribe(checker, "HighWatermarkMoved", "BatchAppended")
    while world.now < LENGTH:
        world.run(seconds=min(step or LENGTH, LENGTH - world.now))
    verdict = world.verdict()
    assert verdict.passed, verdict.sentence
    return verdict.document["events"], time.process_time() - began, verdict.counts["facts"]


def best(what):
    runs = [what() for _ in range(ROUNDS)]
    return max(runs, key=lambda run: run[0] / run[1])


def main():
    told = [0]
    highest = {}

    def checker(fact):
        told[0] += 1
        if fact.kind == "HighWatermarkMoved":
            assert fact.to >= highest.get(fact.partition, 0)
            highest[fact.partition] = fact.to

    def checked():
        highest.clear()
        told[0] = 0
        return in_python(checker)
    rows = [("the scenario in C++", best(in_cpp)), ("a World, one call of run()", best(in_python)),
            ("a World, run() for 10 ms at a time", best(lambda: in_python(step=0.01))),
            ("a World with a checker in Python", best(checked))]
    base = rows[0][1][0] / rows[0][1][1]
    for name, (events, cpu, facts) in rows:
        print(f"{name:<36}{events:>9} events {cpu:>7.2f} s of CPU {events / cpu:>10.0f} events/s   "
              f"{base * cpu / events:.2f} times C++")
    print(f"the checker was told {told[0]} facts of {rows[3][1][2]}")
    world = klamm.World(seed=1, history=False)
    producer = world.producer()
    count, began = 2_000, time.process_time()
    for _ in range(count):
        producer.send("orders", b"v")
    cpu = time.process_time() - began
    print(f"send() one by one: {count / cpu:.0f} a CPU second, {world.events / count:.0f} events each")
    ratio = rows[0][1][0] / rows[0][1][1] / (rows[1][1][0] / rows[1][1][1])
    if ratio > 2:
        sys.exit(f"a World takes {ratio:.2f} times what the scenario takes in C++; at most 2")


if __name__ == "__main__":
    main()
