#!/usr/bin/python3
"""librdkafka's transactional producer and its read_committed consumer (python3-confluent-kafka) against three brokers, each
a process of its own: what is committed is seen whole, what is aborted never, who has lost its id writes no more, offsets
go with their transaction, and none of that changes when brokers are killed with -9 in the middle."""

import os
import subprocess
import tempfile
import time
from pathlib import Path

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

import harness
from harness import ATTEMPT_SECONDS, SECONDS_MAX, main

SETTINGS = {'transaction.abort.timed.out.transaction.cleanup.interval.ms': 500, 'broker.session.timeout.ms': 2000,
            'broker.heartbeat.interval.ms': 300, 'transaction.state.log.num.partitions': 5,
            'offsets.topic.num.partitions': 5, 'group.initial.rebalance.delay.ms': 200,
            'group.min.session.timeout.ms': 1000, 'default.replication.factor': 3, 'min.insync.replicas': 2,
            'auto.create.topics.enable': 'false'}


class Cluster:
    """A controller and three brokers, a process each."""

    def __init__(self, brokers=3):
        self.folder = tempfile.TemporaryDirectory(prefix='klamm-transactions-')
        port = harness.free_ports(brokers + 1)
        self.ports = [port + i for i in range(brokers)]
        self.bootstrap = ','.join(f'127.0.0.1:{one}' for one in self.ports)
        voter = f'3000@127.0.0.1:{port + brokers}'
        self.words = {}
        for i, one in enumerate([*self.ports, port + brokers]):
            control = one == port + brokers
            settings = {'node.id': 3000 if control else i, 'process.roles': 'controller' if control else 'broker',
                        'controller.quorum.voters': voter, 'log.dirs': f'{self.folder.name}/{i}',
                        'listeners': f'{"CONTROLLER" if control else "PLAINTEXT"}://127.0.0.1:{one}',
                        'controller.listener.names': 'CONTROLLER', **SETTINGS}
            file = Path(self.folder.name) / f'{i}.properties'
            file.write_text(''.join(f'{key}={value}\n' for key, value in settings.items()))
            self.words[3000 if control else i] = str(file)
        self.processes = {}

    def __enter__(self):
        for node in [3000, *range(len(self.ports))]:
            self.start(node)
        self.wait(len(self.ports))
        return self

    def __exit__(self, *_):
        for node in list(self.processes):
            self.kill(node)
        self.folder.cleanup()

    def start(self, node):
        with open(f'{self.folder.name}/log', 'ab') as log:
            self.processes[node] = subprocess.Popen(
                [os.environ.get('KLAMM', harness.ROOT / 'build/release/klamm'), 'broker', self.words[node]],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=harness.die_with_parent)

    def kill(self, node):
        process = self.processes.pop(node)
        process.kill()
        process.wait(timeout=SECONDS_MAX)

    def wait(self, brokers):
        admin = AdminClient({'bootstrap.servers': self.bootstrap})
        harness.eventually(lambda: len(admin.list_topics(timeout=ATTEMPT_SECONDS).brokers), lambda count: count == brokers)

    def make(self, topic, partitions=3):
        admin = AdminClient({'bootstrap.servers': self.bootstrap})
        for future in admin.create_topics([NewTopic(topic, partitions, 3)]).values():
            future.result(timeout=SECONDS_MAX)
        harness.eventually(lambda: admin.list_topics(topic, timeout=ATTEMPT_SECONDS).topics[topic].partitions,
                           lambda rows: len(rows) == partitions and all(row.leader >= 0 for row in rows.values()))


def transactional(cluster, name, **settings):
    made = Producer({'bootstrap.servers': cluster.bootstrap, 'transactional.id': name, 'linger.ms': 2,
                     'transaction.timeout.ms': 20000,
                     **{key.replace('_', '.'): value for key, value in settings.items()}})
    made.init_transactions(SECONDS_MAX)
    return made


def write(producer, topic, values, partitions=3):
    failed = []

    def delivered(error, _):
        if error is not None:
            failed.append(error)

    for i, value in enumerate(values):
        producer.produce(topic, value, partition=i % partitions, on_delivery=delivered)
    producer.flush(SECONDS_MAX)
    return failed


def retried(deed):
    """Calls until it succeeds, as librdkafka wants it."""
    deadline = time.monotonic() + SECONDS_MAX
    while True:
        try:
            return deed()
        except KafkaException as error:
            if not error.args[0].retriable() or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def read(cluster, topic, isolation='read_committed', partitions=3):
    """Every record of a topic, to the ends that this isolation level has."""
    reader = Consumer({'bootstrap.servers': cluster.bootstrap, 'group.id': 'reader', 'enable.auto.commit': False,
                       'enable.partition.eof': True, 'isolation.level': isolation, 'check.crcs': True,
                       'auto.offset.reset': 'earliest'})
    reader.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(partitions)])
    got, ended, deadline = [], set(), time.monotonic() + SECONDS_MAX
    while len(ended) < partitions:
        if time.monotonic() > deadline:
            raise AssertionError(f'only {len(ended)} partitions were read to their ends')
        message = reader.poll(0.2)
        if message is None:
            continue
        if message.error() is None:
            got.append(message.value().decode())
        elif message.error().code() == KafkaError._PARTITION_EOF:
            ended.add(message.partition())
        elif not message.error().retriable():
            raise KafkaException(message.error())
    reader.close()
    return sorted(got)


class Transactions(harness.unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster()
        cls.addClassCleanup(cls.cluster.__exit__)
        cls.cluster.__enter__()

    def test_what_is_committed_is_seen_and_what_is_aborted_is_not(self):
        self.cluster.make('basic')
        producer = transactional(self.cluster, 'basic')
        producer.begin_transaction()
        self.assertEqual(write(producer, 'basic', ['one', 'two', 'three', 'four']), [])
        self.assertEqual(read(self.cluster, 'basic'), [])
        self.assertEqual(len(read(self.cluster, 'basic', 'read_uncommitted')), 4)
        retried(lambda: producer.commit_transaction(SECONDS_MAX))
        self.assertEqual(read(self.cluster, 'basic'), ['four', 'one', 'three', 'two'])
        producer.begin_transaction()
        self.assertEqual(write(producer, 'basic', ['bad'] * 5), [])
        retried(lambda: producer.abort_transaction(SECONDS_MAX))
        producer.begin_transaction()
        self.assertEqual(write(producer, 'basic', ['five']), [])
        retried(lambda: producer.commit_transaction(SECONDS_MAX))
        self.assertEqual(read(self.cluster, 'basic'), ['five', 'four', 'one', 'three', 'two'])
        self.assertEqual(read(self.cluster, 'basic', 'read_uncommitted').count('bad'), 5)

    def test_a_second_producer_with_the_id_fences_the_first(self):
        self.cluster.make('fenced')
        first = transactional(self.cluster, 'fenced')
        first.begin_transaction()
        self.assertEqual(write(first, 'fenced', ['lost']), [])
        second = transactional(self.cluster, 'fenced')
        second.begin_transaction()
        self.assertEqual(write(second, 'fenced', ['kept']), [])
        with self.assertRaises(KafkaException) as raised:
            first.produce('fenced', 'zombie', partition=0)
            first.commit_transaction(SECONDS_MAX)
        self.assertIn(raised.exception.args[0].code(), (KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH))
        retried(lambda: second.commit_transaction(SECONDS_MAX))
        self.assertEqual(read(self.cluster, 'fenced'), ['kept'])
        self.assertNotIn('zombie', read(self.cluster, 'fenced', 'read_uncommitted'))

    def test_a_producer_that_goes_away_holds_nobody_back_for_longer_than_its_timeout(self):
        self.cluster.make('timeout')
        gone = transactional(self.cluster, 'timeout', transaction_timeout_ms=6000)
        gone.begin_transaction()
        self.assertEqual(write(gone, 'timeout', ['gone'] * 3), [])
        after = transactional(self.cluster, 'timeout-after')
        after.begin_transaction()
        self.assertEqual(write(after, 'timeout', ['after'] * 3), [])
        retried(lambda: after.commit_transaction(SECONDS_MAX))
        seen = harness.eventually(lambda: read(self.cluster, 'timeout'), lambda got: len(got) == 3)
        self.assertEqual(seen, ['after'] * 3)
        with self.assertRaises(KafkaException) as raised:
            gone.produce('timeout', 'late', partition=0)
            gone.commit_transaction(SECONDS_MAX)
        self.assertFalse(raised.exception.args[0].retriable())
        self.assertEqual(read(self.cluster, 'timeout'), ['after'] * 3)

    def test_offsets_are_committed_with_their_output_or_not_at_all(self):
        self.cluster.make('input', 1)
        self.cluster.make('output', 1)
        source = Producer({'bootstrap.servers': self.cluster.bootstrap, 'linger.ms': 2})
        self.assertEqual(write(source, 'input', [f'{i}' for i in range(20)], 1), [])
        producer = transactional(self.cluster, 'transform')
        consumer = Consumer({'bootstrap.servers': self.cluster.bootstrap, 'group.id': 'transform',
                             'enable.auto.commit': False, 'auto.offset.reset': 'earliest',
                             'session.timeout.ms': 6000, 'isolation.level': 'read_committed'})
        consumer.subscribe(['input'])
        done, commit, deadline = 0, False, time.monotonic() + 2 * SECONDS_MAX
        while done < 20:
            self.assertLess(time.monotonic(), deadline)
            messages = [one for one in consumer.consume(5, 1.0) if one.error() is None]
            if not messages:
                continue
            producer.begin_transaction()
            self.assertEqual(write(producer, 'output', [one.value() + b'!' for one in messages], 1), [])
            retried(lambda: producer.send_offsets_to_transaction(
                consumer.position(consumer.assignment()), consumer.consumer_group_metadata(), SECONDS_MAX))
            commit = not commit  # every second one is aborted, and done again
            if commit:
                retried(lambda: producer.commit_transaction(SECONDS_MAX))
                done += len(messages)
            else:
                retried(lambda: producer.abort_transaction(SECONDS_MAX))
                [row] = consumer.committed([TopicPartition('input', 0)], timeout=SECONDS_MAX)
                self.assertEqual(max(row.offset, 0), done)
                consumer.seek(TopicPartition('input', 0, done))
        [row] = consumer.committed([TopicPartition('input', 0)], timeout=SECONDS_MAX)
        self.assertEqual(row.offset, 20)
        consumer.close()
        self.assertEqual(read(self.cluster, 'output', partitions=1), sorted(f'{i}!' for i in range(20)))

    def test_brokers_killed_in_the_middle_change_nothing_of_it(self):
        self.cluster.make('killed')
        producer = transactional(self.cluster, 'killed', transaction_timeout_ms=60000)
        kept = []
        for round_ in range(4):
            values = [f'{round_}-{i}' for i in range(9)]
            victim = round_ % 3
            producer.begin_transaction()
            failed = write(producer, 'killed', values[:5])
            self.cluster.kill(victim)  # in three rounds each of them once, so the coordinator too
            failed += write(producer, 'killed', values[5:])
            self.assertEqual(failed, [])
            if round_ % 2 == 0:
                retried(lambda: producer.commit_transaction(SECONDS_MAX))
                kept += values
            else:
                retried(lambda: producer.abort_transaction(SECONDS_MAX))
            self.cluster.start(victim)
            self.cluster.wait(3)
            self.assertEqual(read(self.cluster, 'killed'), sorted(kept))


if __name__ == '__main__':
    main()
