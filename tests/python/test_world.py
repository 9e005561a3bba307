"""Worlds that Python drives step by step."""
import ast
import inspect
import pathlib
import random
import signal
import threading
import time

import pytest

import klamm


def world_of(**more):
    return klamm.World(**{"brokers": 3, "seed": 7, "topics": {"orders": dict(partitions=2, replication=3, min_insync=2)},
                          **more})


def test_the_issues_first_lines_work():
    world = klamm.World(brokers=3, controllers=3, seed=7, topics={"orders": dict(partitions=4, replication=3, min_insync=2)})
    producer = world.producer(acks="all", idempotent=True)
    assert producer.send("orders", key=b"k", value=b"v") == 0
    before = world.leader("orders", 0)
    world.crash(world.leader("orders", 0))
    world.run(seconds=5)
    assert world.leader("orders", 0) not in (None, before)
    world.power_loss("all")
    world.heal()
    verdict = world.verdict()
    verdict.raise_if_red()
    assert verdict.passed and verdict.bill.promised == verdict.counts["batches_acked"]


def test_time_passes_only_where_it_says_so():
    world = world_of()
    producer = world.producer()
    start = world.now
    world.crash("broker-3")
    producer.send_soon("orders", b"v")
    assert world.now == start
    producer.send("orders", b"v")
    assert world.now > start
    world.run(seconds=2)
    after = world.now
    world.run(until=lambda: world.now >= after + 1)
    assert after + 1 <= world.now <= after + 1.1
    with pytest.raises(klamm.NotYet):
        world.run(until=lambda: False, seconds=0.5)
    with pytest.raises(klamm.Refused):
        world.run(seconds=-1)


def test_what_is_sent_is_read_back_with_keys_and_values():
    world = world_of()
    producer, consumer = world.producer(), world.consumer("orders")
    sent = {}
    for i in range(20):
        partition = i % 2
        offset = producer.send("orders", key=f"k{i}", value=f"v{i}" * i, partition=partition)
        sent[partition, offset] = (f"k{i}".encode(), (f"v{i}" * i).encode())
    read = {(one.partition, one.offset): (one.key, one.value) for one in consumer.read_all()}
    assert read == sent
    assert consumer.latest(0) == 10 and consumer.position(0) == 10
    consumer.seek(4, partition=0)
    assert [one.offset for one in consumer.poll(0)][:2] == [4, 5]
    assert world.verdict().passed


def test_keys_choose_partitions_as_kafka_does():
    from klamm._clients import murmur2
    # Kafka's own: UtilsTest.testMurmur2
    known = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536,
             b"a-little-bit-longer-string": -1486304829,
             b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971, b"abc": 479470107}
    for key, value in known.items():
        assert murmur2(key) == value & 0xFFFFFFFF
    world = world_of()
    producer = world.producer()
    pending = producer.send_soon("orders", b"v", key=b"foobar")
    assert pending.partition == (-790332482 & 0x7FFFFFFF) % 2


def test_the_same_seed_and_calls_give_the_same_world():
    def go(world):
        producer = world.producer()
        for _ in range(5):
            producer.send("orders", bytes([world.random.randrange(256)]))
        world.power_loss("leader", lasting=1)
        world.run(seconds=4)
        return world.hash
    assert go(world_of()) == go(world_of())
    assert go(world_of()) != go(world_of(seed=8))


def test_chance_from_elsewhere_is_caught_by_the_double_run():
    def fair(world):
        producer = world.producer()
        return [producer.send("orders", world.random.randbytes(8)) for _ in range(4)]

    def unfair(world):
        producer = world.producer()
        producer.send("orders", b"steady")
        return producer.send("orders", random.SystemRandom().randbytes(8))
    offsets, _ = klamm.run_twice(fair, seed=3)
    assert offsets == [0, 1, 2, 3]
    with pytest.raises(klamm.NotDeterministic, match="first event that differs is number [0-9]+"):
        klamm.run_twice(unfair, seed=3)


def test_every_deed_is_there_and_says_when_it_hits_nobody():
    world = world_of()
    producer = world.producer()
    producer.send("orders", b"v", partition=0)
    world.partition("broker-1", ["broker-2", "broker-3"])
    world.run(seconds=1)
    world.mend()
    world.pause("controller")
    world.run(seconds=0.2)
    world.resume("controller")
    world.stop(2)
    world.run(seconds=2)
    world.restart("all")
    world.disk("broker-3", slower=10)
    world.wipe("follower of orders-1", lasting=0.2)
    world.run_until_well()
    world.configure(min_insync=1)
    world.do(klamm.clock("broker-1", steps=-5), klamm.slow("broker-2", by=0.01, lasting=1), {"move_leader": {"to": "follower"}})
    world.run(seconds=1)
    world.heal()
    world.crash("broker-1")
    with pytest.raises(klamm.Missed, match="broker-1 is down already"):
        world.crash("broker-1")
    with pytest.raises(klamm.Missed, match="nothing is cut"):
        world.mend()
    with pytest.raises(klamm.Refused, match='"broker-9": there are 3 brokers'):
        world.crash("broker-9")
    with pytest.raises(klamm.Refused, match='did you mean "leader"'):
        world.pause("leadr")
    with pytest.raises(klamm.Refused, match="nobody is meant"):
        world.crash(None)
    assert not world.verdict().red


def test_faults_can_fall_again_after_a_healing():
    world = world_of(topics={"orders": dict(min_insync=2)})
    producer = world.producer()
    for round_ in range(3):
        world.power_loss("all")
        world.run(seconds=0.5)
        assert not any(one["up"] for one in world.nodes() if one["name"].startswith("broker-"))
        world.heal()
        world.run_until_well()
        assert producer.send("orders", b"v") == round_
    assert world.counts["power_losses"] == 9
    assert not world.verdict().red


def test_a_send_that_cannot_be_acknowledged_is_an_exception():
    world = world_of(topics={"orders": dict(min_insync=2)})
    producer = world.producer(delivery_timeout_ms=3000, request_timeout_ms=500)
    producer.send("orders", b"first")
    world.crash([name for name in ("broker-1", "broker-2", "broker-3") if name != world.leader()])
    world.run(seconds=3)
    with pytest.raises(klamm.SendFailed) as raised:
        producer.send("orders", b"alone")
    assert raised.value.error and "orders-0" in str(raised.value)


def test_a_planted_bug_turns_the_verdict_red():
    def scene(plant):
        world = klamm.World(seed=5, topics={"orders": dict(min_insync=2)}, plant=plant)
        producer = world.producer()
        producer.send("orders", b"first")
        leader = world.leader()
        world.partition(leader, ["broker-1", "broker-2", "broker-3", "controller"])
        pending = producer.send_soon("orders", b"to the isolated leader")
        world.run(seconds=4)
        world.mend()
        world.run(seconds=2)
        assert pending.over or plant is None
        return world.verdict()
    assert scene(None).passed
    verdict = scene("R1")  # acks=all is answered after the local append
    assert verdict.red and verdict.violations
    with pytest.raises(klamm.Red) as raised:
        verdict.raise_if_red()
    assert raised.value.verdict is verdict


def test_facts_are_told_between_events_and_may_be_acted_upon():
    world = world_of()
    seen = []

    @world.on("Leading")
    def leading(fact):
        seen.append((fact.time, fact.node, fact.partition, fact["epoch"]))
        if len(seen) == 1:
            world.crash(fact.node)
        with pytest.raises(klamm.Refused, match="within a callback"):
            world.run(seconds=1)
    world.crash("leader")
    world.run(seconds=5)
    assert len(seen) >= 2 and seen == sorted(seen)
    assert all(node.startswith("broker-") for _, node, _, _ in seen)
    with pytest.raises(klamm.Refused, match="did you mean 'Leading'"):
        world.subscribe(print, "Leeding")


def test_what_a_callback_raises_comes_out_of_run_and_the_world_lives():
    world = world_of()

    class Mine(Exception):
        pass

    def take(fact):
        raise Mine(fact.kind)
    number = world.subscribe(take, "LogFlushed", "FollowerFetched")
    with pytest.raises(Mine):
        world.run(seconds=5)
    world.unsubscribe(number)
    world.run(seconds=1)
    assert not world.verdict().red or world.verdict().passed


def test_a_checker_in_python_turns_the_verdict_red():
    world = world_of()
    highest = {}

    @world.on("HighWatermarkMoved")
    def never_above_two(fact):
        highest[fact.partition] = max(highest.get(fact.partition, 0), fact.to)
        if fact.to > 2:
            world.report(f"the high watermark of {fact.partition} is {fact.to}")
    producer = world.producer()
    for _ in range(4):
        producer.send("orders", b"v", partition=1)
    verdict = world.verdict()
    assert verdict.red and not verdict.passed and "the high watermark of 1 is 3" in verdict.sentence
    assert highest[1] >= 4


def test_a_branch_is_another_future_and_this_world_stays():
    world = world_of()
    producer = world.producer()
    producer.send("orders", b"v", partition=0)
    hash_before = world.hash

    def future(world, who):
        world.crash(who)
        world.run(seconds=5)
        return world.leader("orders", 0), world.hash
    leader = world.leader("orders", 0)
    other = world.branch(lambda w: future(w, leader))
    assert other[0] != leader and other[1] != hash_before
    assert world.hash == hash_before and world.leader("orders", 0) == leader
    assert world.branch(lambda w: future(w, leader)) == other
    assert future(world, leader) == other
    with pytest.raises(KeyError, match="mine"):
        world.branch(lambda w: {}["mine"])
    with pytest.raises(klamm.Died, match="ended with 3"):
        world.branch(lambda w: __import__("os")._exit(3))


def test_replay_to_gives_a_second_living_world():
    world = world_of()
    producer = world.producer()
    for _ in range(3):
        producer.send("orders", b"v", partition=0)
    middle, hash_there = world.events, world.hash
    world.crash("leader of orders-0")
    world.run(seconds=4)
    second = world.replay_to(middle)
    assert second.hash == hash_there and second.events == middle
    second.run(seconds=4)  # the leader lives on here
    assert second.leader() != world.leader()
    whole = world.replay_to(world.events)
    assert whole.hash == world.hash and whole.leader() == world.leader()


def test_a_failed_assertion_is_an_exception_and_the_interpreter_lives():
    world = world_of()
    producer = world.producer()
    producer.send("orders", b"v")
    world._w.send_out_of_turn(1)
    with pytest.raises(klamm.AssertionFailed, match=r"in producer-1 at 0\.\d+ s: order.number == next_ \(.*driven.cc:\d+\)"):
        world.run(seconds=1)
    with pytest.raises(klamm.AssertionFailed):
        world.run(seconds=1)
    verdict = world.verdict()
    assert verdict.red and verdict.name == "crash"
    assert world_of().producer().send("orders", b"another world") == 0


def test_a_world_that_was_judged_is_over():
    world = world_of()
    world.verdict()
    with pytest.raises(klamm.WorldOver):
        world.run(seconds=1)
    with pytest.raises(klamm.WorldOver):
        world.verdict()


def test_errors_say_what_was_wrong():
    for wrong, sentence in [
            (dict(topics={"a": {}, "b": {}}), "one topic today"),
            (dict(topics={"orders": dict(min_insyn=2)}), "min.insyn"),
            (dict(topics={"orders": dict(replication=4)}), "there are 3 brokers"),
            (dict(brokers=0), "1 to 9"),
            (dict(plant="R99"), "there is no bug 'R99'"),
            (dict(broker_options=dict(nonsense=1)), "nonsense")]:
        with pytest.raises(klamm.Refused, match=sentence):
            klamm.World(**wrong)
    world = world_of()
    with pytest.raises(klamm.Refused, match="there is no topic 'order'"):
        world.producer().send("order", b"v")
    with pytest.raises(klamm.Refused, match="partition 2: topic orders has 2 partitions"):
        world.producer().send("orders", b"v", partition=2)
    with pytest.raises(klamm.Refused, match="held to|holds its producers to idempotence"):
        world.producer(acks=1)
    with pytest.raises(klamm.Refused, match="acks"):
        world_of(idempotent=False).producer(acks=3)


def test_acks_1_may_lose_and_the_bill_says_why():
    world = klamm.World(seed=11, topics={"orders": dict(min_insync=1)}, idempotent=False)
    producer = world.producer(acks=1)
    leader = world.leader()
    others = [name for name in ("broker-1", "broker-2", "broker-3") if name != leader]
    world.partition(leader, others + ["controller"])
    offset = producer.send("orders", b"known to the leader alone")
    assert offset == 0
    world.run(seconds=4)
    world.mend()
    verdict = world.verdict()
    assert verdict.passed and verdict.bill.by_rule()["O1"] == 1


def test_history_and_trace_are_frames_and_checkers_take_them():
    world = world_of(trace=True)
    producer, consumer = world.producer(), world.consumer()
    producer.send("orders", b"v", partition=0)
    consumer.read_all()
    history = world.history()
    assert set(history["kind"]) >= {"send_invoked", "send_returned", "poll_invoked", "poll_returned"}
    judgement = klamm.check_log(world.history_lines())
    assert not judgement.red and judgement["totals"]["acknowledged"] == 1
    lost = [one for one in world.history_lines().splitlines() if "poll_" not in one]
    lost.append('{"time":99000000000,"client":1,"operation":0,"kind":"final_reads"}')
    assert klamm.check_log("\n".join(lost)).violations[0]["code"] == "LOST"
    trace = world.trace()
    assert trace["event"].max() == world.events
    assert "BatchAppended" in set(trace["fact"].dropna())
    with pytest.raises(klamm.Refused, match="trace=True"):
        world_of().trace()
    with pytest.raises(klamm.Refused, match='line 1, key "kind"'):
        klamm.check_log('{"time":1,"client":1,"operation":1,"kind":"sent"}')


def test_linearizability_with_a_counterexample():
    lines = [(1, 1, 1, "operation_invoked", dict(function="write", key="x", input=1)),
             (2, 1, 1, "operation_returned", dict(outcome="ok")),
             (3, 2, 1, "operation_invoked", dict(function="read", key="x")),
             (4, 2, 1, "operation_returned", dict(outcome="ok", output=2))]
    history = [dict(time=t, client=c, operation=o, kind=k, **more) for t, c, o, k, more in lines]
    found = klamm.check_linearizability(history, "register")
    assert found.red and 'read "x" -> 2' in found.picture
    history[3]["output"] = 1
    assert not klamm.check_linearizability(history, "register").red


def test_ctrl_c_stops_time():
    world = world_of(producers=[{"every": "1ms"}])
    timer = threading.Timer(0.3, lambda: signal.raise_signal(signal.SIGINT))
    timer.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        while time.monotonic() < began + 20:
            world.run(seconds=1)
    timer.join()
    before = world.now
    world.run(seconds=0.1)
    assert world.now > before


def names_in_stub(body):
    """Of a stub's part, the public names and, of each class, its members' names."""
    return {one.name: names_in_stub(one.body) if isinstance(one, ast.ClassDef) else None
            for one in body if isinstance(one, (ast.ClassDef, ast.FunctionDef)) and not one.name.startswith("_")}


def names_in_module(thing):
    return {name: names_in_module(member) if isinstance(member, type) else None
            for name, member in vars(thing).items() if not name.startswith("_")}


def test_the_stub_tells_of_all_that_is_compiled_and_of_nothing_else():
    from klamm import _klamm
    package = pathlib.Path(klamm.__file__).parent
    assert (package / "py.typed").exists()
    stub = ast.parse((package / "_klamm.pyi").read_text(encoding="utf-8"))
    assert names_in_stub(stub.body) == names_in_module(_klamm)


@pytest.mark.parametrize("name", [name for name in klamm.__all__])
def test_everything_public_says_what_it_is_and_gives(name):
    thing = getattr(klamm, name)
    assert (thing.__doc__ or "").strip(), name
    functions = [thing] if inspect.isfunction(thing) else [
        member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        for key, member in vars(thing).items() if not key.startswith("_") and not isinstance(member, str)]
    for function in functions:
        if inspect.isfunction(function) and function.__module__.startswith("klamm"):
            assert inspect.signature(function).return_annotation is not inspect.Signature.empty, function
    if isinstance(thing, type) and not issubclass(thing, BaseException):
        for key, member in vars(thing).items():
            if not key.startswith("_") and (callable(member) or isinstance(member, property)):
                assert (getattr(member, "__doc__", None) or "").strip(), f"{name}.{key}"
