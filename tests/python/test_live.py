"""Real clusters from Python, against `klamm broker` processes: produce, consume, administer, record and judge."""
import os
import pathlib
import subprocess
import threading
import time

import pytest

import klamm

PROGRAM = pathlib.Path(os.environ["KLAMM_BINARY_DIR"]) / "klamm"
# A session lasts through what a slow disk or a busy machine keeps a broker from saying.
SETTINGS = {"broker.session.timeout.ms": 6000, "broker.heartbeat.interval.ms": 300, "num.partitions": 2,
            "group.initial.rebalance.delay.ms": 100}


@pytest.fixture(scope="module")
def brokers():
    """Three brokers for all cases that do not kill them."""
    with klamm.Brokers(3, settings=SETTINGS) as three:
        yield three


@pytest.fixture
def cluster(brokers):
    """A connection that a case has for itself."""
    with brokers.connect(seconds=60) as one:
        yield one


def eventually(look, wanted=bool, seconds=60):
    """What `look` gives once it is as wanted; brokers hear of things one after another."""
    until = time.monotonic() + seconds
    while True:
        try:
            seen = look()
            if wanted(seen) or time.monotonic() > until:
                return seen
        except klamm.ClusterRefused:
            if time.monotonic() > until:
                raise
        time.sleep(0.05)


def made(cluster, topic, partitions, **options):
    """A topic that every broker we ask knows, with a leader for each partition."""
    cluster.create_topic(topic, partitions=partitions, replication=3, **options)
    eventually(lambda: cluster.describe(topic)["partitions"],
               lambda rows: len(rows) == partitions and all(row["leader"] is not None for row in rows))
    return topic


def test_brokers_look_for_other_ports_where_somebody_answers_at_theirs(brokers, monkeypatch):
    from klamm import _brokers
    ports = [int(brokers.bootstrap.split(",")[0].split(":")[1])]
    free = _brokers._free_ports
    monkeypatch.setattr(_brokers, "_free_ports", lambda count: ports.pop() if ports else free(count))
    with klamm.Brokers(1, settings=SETTINGS) as other:
        assert not ports and other.bootstrap not in brokers.bootstrap
        seen = eventually(lambda: [one["port"] for one in other.connect(30).brokers()])
        assert seen == [int(other.bootstrap.split(":")[1])]


def test_what_is_produced_is_consumed(cluster):
    topic = made(cluster, "orders", 4, min_insync=2)
    producer = cluster.producer(linger_ms=0)
    first = producer.send(topic, key=b"k", value="v")
    assert first == 0
    pending = [producer.send_soon(topic, value=f"v{i}", key=None, partition=i % 4) for i in range(200)]
    producer.flush(60)
    sent = {(one.partition, one.offset()): f"v{i}".encode() for i, one in enumerate(pending)}
    assert len(sent) == 200
    consumer = cluster.consumer(topic)
    records = consumer.read_all()
    assert len(records) == 201 and all(one.topic == topic for one in records)
    read = {(one.partition, one.offset): one.value for one in records if one.key is None}
    assert read == sent
    (keyed,) = [one for one in records if one.key is not None]
    assert (keyed.key, keyed.value) == (b"k", b"v") and abs(keyed.timestamp / 1000 - time.time()) < 600
    for partition in range(4):
        assert consumer.position(partition) == consumer.end(partition) and consumer.start(partition) == 0
    assert consumer.poll(0.1) == []


def test_a_poll_waits_for_what_comes_and_a_seek_goes_back(cluster):
    topic = made(cluster, "waits", 1)
    consumer, producer = cluster.consumer(topic, begin="latest"), cluster.producer(linger_ms=0)
    eventually(lambda: consumer.position(), lambda at: at is not None)
    timer = threading.Timer(0.2, lambda: producer.send(topic, b"late"))
    timer.start()
    assert [one.value for one in consumer.poll(60)] == [b"late"]  # while another thread sends: the lock is let go
    timer.join()
    consumer.seek(0)
    assert [one.offset for one in consumer.poll(60)] == [0]
    consumer.seek("end")
    eventually(lambda: consumer.position(), lambda at: at == 1)
    assert consumer.offset_at(0) == 0 and consumer.offset_at(2**50) is None
    assert cluster.consumer(topic, partitions=[0]).end() == 1
    strict = cluster.consumer(topic, auto_offset_reset="none")
    strict.seek(99)
    with pytest.raises(klamm.PollFailed, match="OFFSET_OUT_OF_RANGE") as raised:
        strict.poll(60)
    assert raised.value.error == "OFFSET_OUT_OF_RANGE"


def test_an_administrator_does_what_the_commands_do(brokers, cluster):
    assert sorted(one["id"] for one in cluster.brokers()) == [1, 2, 3]
    topic = made(cluster, "administered", 1, retention_ms=1234567)
    assert topic in cluster.topics() and not [one for one in cluster.topics() if one.startswith("__")]
    assert eventually(lambda: cluster.configs(topic)["retention.ms"],
                      lambda one: one["value"] == "1234567")["source"] == "DYNAMIC_TOPIC_CONFIG"
    cluster.set_configs(topic, min_insync=2, retention_ms=None)
    now = eventually(lambda: cluster.configs(topic), lambda all_: all_["min.insync.replicas"]["value"] == "2")
    assert now["retention.ms"]["source"] == "DEFAULT_CONFIG"
    cluster.add_partitions(topic, 3)
    assert len(eventually(lambda: cluster.describe(topic)["partitions"], lambda rows: len(rows) == 3)) == 3
    assert all(sorted(row["replicas"]) == [1, 2, 3] for row in cluster.describe(topic)["partitions"])
    assert "log.retention.ms" in cluster.configs(broker=2) or "node.id" in cluster.configs(broker=2)
    listed = subprocess.run([PROGRAM, "topics", "--bootstrap-server", brokers.bootstrap, "--list"], check=True,
                            stdout=subprocess.PIPE, text=True, timeout=70).stdout.split()
    assert topic in listed
    cluster.delete_topic(topic)
    assert topic not in eventually(cluster.topics, lambda names: topic not in names)


def test_refusals_are_the_commands_sentences(brokers, cluster):
    made(cluster, "there", 1)
    said = subprocess.run([PROGRAM, "topics", "--bootstrap-server", brokers.bootstrap, "--create", "--topic", "there"],
                          stderr=subprocess.PIPE, text=True, timeout=70, check=False)
    with pytest.raises(klamm.ClusterRefused) as raised:
        cluster.create_topic("there")
    assert said.returncode == 1 and said.stderr == f"klamm topics: {raised.value}\n"
    assert raised.value.error == "TOPIC_ALREADY_EXISTS"
    for wrong, kind, sentence in [
            (lambda: cluster.describe("nothing"), klamm.ClusterRefused, "nothing: UNKNOWN_TOPIC_OR_PARTITION"),
            (lambda: cluster.consumer("nothing"), klamm.ClusterRefused, "nothing: UNKNOWN_TOPIC_OR_PARTITION"),
            (lambda: cluster.create_topic("a", nonsense=1), klamm.ClusterRefused, "Unknown topic config name: nonsense"),
            (lambda: cluster.producer(colour="red"), klamm.Refused, "colour is not a producer option"),
            (lambda: cluster.producer(acks=1, idempotent=True), klamm.Refused, "acks"),
            (lambda: cluster.consumer("there", colour="red"), klamm.Refused, "colour is not a consumer option"),
            (lambda: cluster.producer().send("there", b"v", partition=7), klamm.Refused,
             "partition 7: topic there has 1 partitions"),
            (lambda: klamm.connect("localhost"), klamm.Refused, "expected host:port, found 'localhost'"),
            (lambda: klamm.connect("127.0.0.1:1", seconds=0.3), klamm.NotYet, "no answer from the cluster")]:
        with pytest.raises(kind, match=sentence):
            wrong()
    producer = cluster.producer()
    producer.close()
    with pytest.raises(klamm.Refused, match="was closed"):
        producer.send("there", b"v")


def test_a_send_that_is_refused_fails(cluster):
    topic = made(cluster, "small", 1, max_message_bytes=1000)
    producer = cluster.producer(linger_ms=0)

    def refused():
        try:
            producer.send(topic, b"v" * 5000)
        except klamm.SendFailed as failed:
            return failed
        return None
    failed = eventually(refused)  # once the leader has heard of the option
    assert "small-0" in str(failed) and failed.error == "MESSAGE_TOO_LARGE"
    assert producer.send(topic, b"v") >= 0


def test_a_client_survives_forks_and_is_no_part_of_them(cluster):
    topic = made(cluster, "forks", 1)
    producer, consumer = cluster.producer(linger_ms=0), cluster.consumer(topic)
    producer.send(topic, b"before")
    world = klamm.World()

    def future(world):
        with pytest.raises(klamm.Refused, match="belongs to another process"):
            producer.send(topic, b"v")  # its threads are the parent's
        cluster.close()
        return world.run(seconds=1).now
    assert world.branch(future) > 1
    assert producer.send(topic, b"after") == 1
    assert [one.value for one in consumer.read_all()] == [b"before", b"after"]


def test_a_recording_of_a_sound_cluster_passes_though_it_is_killed():
    with klamm.Brokers(1, settings=SETTINGS) as one:
        def kill():
            time.sleep(0.5)
            one.kill()
            one.start()
        recording = klamm.record(one.connect(30), 1.5, partitions=2, meanwhile=kill,
                                 producers=[{"every": "5ms"}, {"every": "20ms", "acks": "1"}])
        assert not recording.red and recording.read_to_end, recording.sentence
        assert recording.raise_if_red().sentence == recording.complaint or recording.sentence == "passed"
        assert recording.totals["acknowledged"] > 20 and recording.totals["records_read"] > 20
        assert set(recording.history()["kind"]) >= {"send_invoked", "send_returned", "poll_invoked", "poll_returned",
                                                    "latest_returned", "final_reads"}
        again = klamm.check_log(recording.history_lines(), idempotent=recording.idempotent)
        assert again["totals"] == recording.totals


def test_a_recording_finds_what_a_disk_lost(tmp_path):
    with klamm.Brokers(1, settings=SETTINGS) as one:
        cluster = one.connect(30)

        def cut():
            logs = []
            while not sum(log.stat().st_size for log in logs) > 2_000:
                time.sleep(0.05)
                logs = list(one.folder.rglob("klamm-record-*/*.log"))
            one.kill()
            for log in logs:
                os.truncate(log, log.stat().st_size // 2)
            one.start()
        recording = klamm.record(cluster, 2, meanwhile=cut, producers=[{"every": "5ms"}])
        assert recording.red
        assert "LOST" in {violation["code"] for violation in recording.judgement.violations}, recording.judgement
        with pytest.raises(klamm.Red):
            recording.raise_if_red()
        assert recording.topic in cluster.topics(), "a topic that shows something wrong is kept"
        saved = tmp_path / "history.jsonl"
        recording.save(saved)
        said = subprocess.run([PROGRAM, "check", saved], stdout=subprocess.PIPE, text=True, timeout=70, check=False)
        assert said.returncode == 1 and "LOST: " in said.stdout
        with pytest.raises(klamm.Error, match="holds records"):
            klamm.record(cluster, 1, topic=recording.topic)


def test_what_cannot_be_recorded_is_refused(brokers):
    for wrong, sentence in [(dict(producers=[{"evry": "1ms"}]), '"evry" is no key of a producer'),
                            (dict(nonsense=1), "nonsense"), (dict(replication=4), "Unable to replicate|available"),
                            (dict(length=0), "length"), (dict(workload={"lenght": "2s"}), "lenght")]:
        with pytest.raises(klamm.Error, match=sentence):
            klamm.record(brokers.bootstrap, **{"length": 1, **wrong})
    with pytest.raises(RuntimeError, match="mine"):
        def meanwhile():
            raise RuntimeError("mine")
        klamm.record(brokers.bootstrap, 30, meanwhile=meanwhile)


def test_the_command_records_too(brokers, tmp_path, scenarios):
    out = tmp_path / "history.jsonl"
    words = [PROGRAM, "record", "--bootstrap", brokers.bootstrap, "--length", "1s"]
    done = subprocess.run([*words, "--workload", scenarios / "smoke" / "leader_killed.json", "--out", out, "--topic", "mine",
                           "--partitions", "3"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=100,
                          check=False)
    assert done.returncode == 0 and done.stdout.endswith("passed\n"), done
    assert klamm.check_log(out.read_text())["totals"]["acknowledged"] > 0
    assert len(brokers.connect().describe("mine")["partitions"]) == 3
    for more, status, sentence in [(["--topic", "mine"], 4, "topic mine holds records: a history begins with an empty log"),
                                   (["--workload", "/nothing"], 5, "/nothing: cannot be read, or is empty"),
                                   (["--length", "0s"], 5, "--length 0s")]:
        done = subprocess.run([*words, *more] if more[0] != "--length" else [*words[:-2], *more], stderr=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True, timeout=100, check=False)
        assert done.returncode == status and sentence in done.stderr, done


def polled(members, done):
    """Polls members in turn until `done` of what they gave in all; that."""
    records, until = [], time.monotonic() + 60
    while not done(records) and time.monotonic() < until:
        for member in members:
            records += member.poll(0.1)
    return records


def test_members_of_a_group_share_partitions_and_go_on_where_it_committed(cluster):
    topic = made(cluster, "shared", 4)
    producer = cluster.producer(linger_ms=0)
    told = []
    options = dict(heartbeat_interval_ms=300, session_timeout_ms=20_000)
    first = cluster.member("group", topic, on_assign=lambda at: told.append(("assigned", len(at))),
                           on_revoke=lambda at: told.append(("revoked", len(at))), enable_auto_commit=False, **options)
    for i in range(20):
        producer.send(topic, f"v{i}", partition=i % 4)
    records = polled([first], lambda seen: len(seen) >= 20)
    assert sorted(int(one.value[1:]) for one in records) == list(range(20))
    assert len(first.assigned) == 4 and told[0] == ("assigned", 4)
    first.commit()
    assert first.committed() == {(topic, partition): 5 for partition in range(4)}
    second = cluster.member("group", topic, enable_auto_commit=False, **options)
    polled([first, second], lambda _: len(first.assigned) == len(second.assigned) == 2)
    assert set(first.assigned) | set(second.assigned) == {(topic, partition) for partition in range(4)}
    assert any(what == "revoked" for what, _ in told)
    for i in range(20, 40):
        producer.send(topic, f"v{i}", partition=i % 4)
    records = polled([first, second], lambda seen: len(seen) >= 20)
    assert sorted(int(one.value[1:]) for one in records) == list(range(20, 40)), "each once, none of the first again"
    second.close()  # without a commit: what it was given is given again
    again = polled([first], lambda seen: len(first.assigned) == 4 and len(seen) >= 10)
    assert {int(one.value[1:]) for one in again} <= set(range(20, 40)), "from where the group had committed"
    first.seek(0, 0, topic)
    again = polled([first], lambda seen: any(one.partition == 0 for one in seen))
    assert [one.offset for one in again if one.partition == 0][0] == 0
    first.commit({(topic, 1): 3})
    assert first.committed((topic, 1)) == {(topic, 1): 3}
    with pytest.raises(klamm.Refused, match="group: expected a name"):
        cluster.member("", topic)


def test_a_member_commits_by_itself_what_it_has_given_out(cluster):
    topic = made(cluster, "by-itself", 1)
    cluster.producer().send(topic, b"v")
    member = cluster.member("alone", topic, auto_commit_interval_ms=50, heartbeat_interval_ms=300)
    assert [one.value for one in polled([member], lambda seen: seen)] == [b"v"]
    member.close()  # commits before it leaves
    other = cluster.member("alone", topic, enable_auto_commit=False, heartbeat_interval_ms=300)
    polled([other], lambda _: other.assigned)
    assert other.committed() == {(topic, 0): 1} and other.poll(0.2) == []
