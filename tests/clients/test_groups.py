#!/usr/bin/python3
"""Consumers in groups against a broker on loopback: kcat, librdkafka (python3-confluent-kafka) and kafka-python share a
topic's partitions, take over from members that leave or are killed, and go on where their group had committed, also
when its coordinator was killed."""

import signal
import subprocess
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from kafka import KafkaAdminClient, KafkaConsumer

from harness import SECONDS_MAX, TOPIC, Broker, BrokerCase, die_with_parent, main

SETTINGS = ('group.initial.rebalance.delay.ms=200', 'group.min.session.timeout.ms=1000',
            'auto.create.topics.enable=false')


def produce(broker, values, partitions=4):
    sender = Producer({'bootstrap.servers': broker.bootstrap, 'linger.ms': 5})
    sender.list_topics(TOPIC, timeout=SECONDS_MAX)
    for i, value in enumerate(values):
        sender.produce(TOPIC, value, partition=i % partitions)
    if sender.flush(SECONDS_MAX) != 0:
        raise AssertionError('not all was sent')


def member(broker, group, on_revoke=None, **settings):
    made = Consumer({'bootstrap.servers': broker.bootstrap, 'group.id': group, 'auto.offset.reset': 'earliest',
                     'session.timeout.ms': 3000, 'heartbeat.interval.ms': 300, 'enable.auto.commit': False,
                     **{name.replace('_', '.'): value for name, value in settings.items()}})
    made.subscribe([TOPIC], on_revoke=on_revoke or (lambda *_: None))
    return made


def poll_until(members, condition, got=None):
    """Polls each member in turn, and keeps what they read in `got`, until the condition holds."""
    deadline = time.monotonic() + SECONDS_MAX
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError('it took too long')
        for one in members:
            message = one.poll(0.05)
            if message is None:
                continue
            if message.error() is None:
                if got is not None:
                    got.append(message.value().decode())
            elif message.error().code() != KafkaError._PARTITION_EOF and not message.error().retriable():
                raise KafkaException(message.error())


def shares(members):
    return sorted(len(one.assignment()) for one in members)


def committed(consumer):
    rows = consumer.committed([TopicPartition(TOPIC, p) for p in range(4)], timeout=SECONDS_MAX)
    return [row.offset for row in rows]


class Groups(BrokerCase):
    OPTIONS = {'partitions': 4, 'settings': SETTINGS}

    def test_two_members_share_and_one_takes_over_when_the_other_leaves(self):
        first, second = member(self.broker, 'share'), member(self.broker, 'share')
        poll_until([first, second], lambda: shares([first, second]) == [2, 2])
        sent = [f'share-{i}' for i in range(100)]
        before = [end for _, end in (first.get_watermark_offsets(TopicPartition(TOPIC, p)) for p in range(4))]
        produce(self.broker, sent)
        got = []
        poll_until([first, second], lambda: set(sent) <= set(got), got)
        self.assertEqual(len([value for value in got if value in set(sent)]), len(sent))
        first.commit(asynchronous=False)
        second.commit(asynchronous=False)
        self.assertEqual(committed(first), [end + 25 for end in before])
        second.close()
        poll_until([first], lambda: shares([first]) == [4])
        first.close()

    def test_a_member_that_is_killed_is_replaced_and_nothing_committed_is_read_twice(self):
        produce(self.broker, [f'killed-{i}' for i in range(40)])
        words = ['kcat', '-b', self.broker.bootstrap, '-G', 'killed', '-u', '-X', 'session.timeout.ms=3000', '-X',
                 'auto.offset.reset=earliest', TOPIC]
        victim = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                  preexec_fn=die_with_parent)
        read = set()
        while len([value for value in read if value.startswith('killed-')]) < 40:
            read.add(victim.stdout.readline().strip())
        looker = Consumer({'bootstrap.servers': self.broker.bootstrap, 'group.id': 'killed'})
        ends = [looker.get_watermark_offsets(TopicPartition(TOPIC, p), timeout=SECONDS_MAX)[1] for p in range(4)]
        deadline = time.monotonic() + SECONDS_MAX
        while committed(looker) != ends and time.monotonic() < deadline:  # it commits every five seconds
            time.sleep(0.1)
        self.assertEqual(committed(looker), ends)
        looker.close()
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        victim.stdout.close()
        heir = member(self.broker, 'killed')
        start = time.monotonic()
        poll_until([heir], lambda: shares([heir]) == [4])
        self.assertGreater(time.monotonic() - start, 1)  # the dead member's session had to end
        produce(self.broker, ['killed-later'])
        got = []
        poll_until([heir], lambda: 'killed-later' in got, got)
        self.assertEqual([value for value in got if value in read], [])
        heir.close()

    def test_a_static_member_that_restarts_keeps_its_partitions_without_a_rebalance(self):
        changes = []
        stays = member(self.broker, 'static', on_revoke=lambda *_: changes.append('revoked'), group_instance_id='a')
        goes = member(self.broker, 'static', group_instance_id='b')
        poll_until([stays, goes], lambda: shares([stays, goes]) == [2, 2])
        before = sorted(row.partition for row in goes.assignment())
        changes.clear()
        # A process that ends without leaving: static members leave only by their session.
        goes.close()
        back = member(self.broker, 'static', group_instance_id='b')
        poll_until([stays, back], lambda: shares([back]) == [2])
        self.assertEqual(sorted(row.partition for row in back.assignment()), before)
        self.assertEqual(changes, [])
        stays.close()
        back.close()

    def test_kafka_python_reads_in_a_group_and_administrates_it(self):
        produce(self.broker, [f'python-{i}' for i in range(40)])
        reader = KafkaConsumer(TOPIC, bootstrap_servers=self.broker.bootstrap, group_id='python',
                               auto_offset_reset='earliest', enable_auto_commit=False, session_timeout_ms=3000,
                               heartbeat_interval_ms=300)
        got, deadline = set(), time.monotonic() + SECONDS_MAX
        while len([value for value in got if value.startswith('python-')]) < 40 and time.monotonic() < deadline:
            for messages in reader.poll(200).values():
                got |= {message.value.decode() for message in messages}
        self.assertEqual(len([value for value in got if value.startswith('python-')]), 40)
        reader.commit()
        admin = KafkaAdminClient(bootstrap_servers=self.broker.bootstrap)
        self.assertIn(('python', 'consumer'), admin.list_consumer_groups())
        described = admin.describe_consumer_groups(['python'])[0]
        self.assertEqual((described.state, len(described.members)), ('Stable', 1))
        ends = reader.end_offsets(list(reader.assignment()))
        reader.close()
        offsets = {row: kept.offset for row, kept in admin.list_consumer_group_offsets('python').items()}
        self.assertEqual(offsets, ends)
        self.assertEqual([error.errno for _, error in admin.delete_consumer_groups(['python'])], [0])
        self.assertNotIn('python', [name for name, _ in admin.list_consumer_groups()])
        admin.close()

    def test_a_broker_that_is_killed_comes_back_with_what_was_committed(self):
        reader = member(self.broker, 'restart')
        produce(self.broker, [f'restart-{i}' for i in range(40)])
        got = []
        poll_until([reader], lambda: sum(value.startswith('restart-') for value in got) == 40, got)
        reader.commit(asynchronous=False)
        before = committed(reader)
        self.broker.kill()
        self.broker.start()
        produce(self.broker, ['restart-later'])
        more = []
        poll_until([reader], lambda: 'restart-later' in more, more)
        self.assertEqual([value for value in more if value in got], [])
        self.assertEqual(committed(reader), before)
        reader.close()


if __name__ == '__main__':
    main()
