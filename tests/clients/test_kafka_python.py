#!/usr/bin/python3
"""kafka-python (2.0.2 is Debian's python3-kafka) against a broker on loopback: it finds out what the broker is, and what it
sends comes back."""

import time

import kafka
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import MessageSizeTooLargeError, OffsetOutOfRangeError, TopicAlreadyExistsError

from harness import SECONDS_MAX, TOPIC, BrokerCase, main


class OneBroker(BrokerCase):
    OPTIONS = {'partitions': 8}

    def producer(self, **settings):
        # It tries once unless told otherwise, and a leader is known a moment before it serves.
        made = KafkaProducer(bootstrap_servers=self.broker.bootstrap, **{'retries': 100, **settings})
        self.addCleanup(made.close, timeout=1)
        return made

    def reader(self, partition, **settings):
        made = KafkaConsumer(bootstrap_servers=self.broker.bootstrap, enable_auto_commit=False, group_id=None,
                             auto_offset_reset='none', **settings)
        self.addCleanup(made.close)
        made.assign([TopicPartition(TOPIC, partition)])
        made.seek(TopicPartition(TOPIC, partition), 0)
        return made

    def read(self, partition, count, **settings):
        reader, messages, deadline = self.reader(partition, **settings), [], time.monotonic() + SECONDS_MAX
        while len(messages) < count and time.monotonic() < deadline:
            for found in reader.poll(timeout_ms=500).values():
                messages += found
        return messages

    def send(self, producer, values, partition, **more):
        return [f.get(timeout=SECONDS_MAX)
                for f in [producer.send(TOPIC, value, partition=partition, **more) for value in values]]

    def test_it_takes_the_broker_for_one_that_has_what_it_needs(self):
        # It tells releases apart by what is advertised: Produce 8 is 2.4's, and 2.5 would have ACLs. From 3.0 it takes
        # the table as it is.
        expected = (2, 4, 0) if kafka.__version__.startswith('2.0') else (4, 1)
        self.assertEqual(self.producer().config['api_version'], expected)

    def test_what_is_sent_comes_back_in_order(self):
        sent = []
        for codec in (None, 'gzip'):  # what Debian's package can do without more
            for acks in (1, 'all'):
                values = [f'{codec}-{acks}-{i}'.encode() for i in range(200)]
                told = self.send(self.producer(compression_type=codec, acks=acks), values, 0)
                self.assertEqual([t.offset for t in told], list(range(len(sent), len(sent) + 200)))
                sent += values
        self.assertEqual([m.value for m in self.read(0, len(sent))], sent)

    def test_acks_0_is_kept(self):
        # What is sent so to a leader that has not begun is lost lawfully: one that is acknowledged shows that it has.
        self.send(self.producer(acks=1), [b'first'], 1)
        producer = self.producer(acks=0)
        self.send(producer, [b'a', b'b'], 1)
        producer.flush()
        self.assertEqual([m.value for m in self.read(1, 3)], [b'first', b'a', b'b'])

    def test_keys_headers_times_and_null_are_kept(self):
        producer = self.producer()
        self.send(producer, [b'v'], 2, key=b'k', headers=[('h', b'1')], timestamp_ms=1700000000123)
        self.send(producer, [None], 2, key=b'')
        first, second = self.read(2, 2)
        self.assertEqual((first.key, first.value, first.headers, first.timestamp, first.timestamp_type),
                         (b'k', b'v', [('h', b'1')], 1700000000123, 0))
        self.assertEqual((second.key, second.value), (b'', None))

    def test_offsets_by_time_and_the_ends(self):
        producer, at = self.producer(), TopicPartition(TOPIC, 3)
        for i in range(10):
            self.send(producer, [b'x'], 3, timestamp_ms=1700000000000 + 1000 * i)
        reader = self.reader(3)
        self.assertEqual(reader.beginning_offsets([at]), {at: 0})
        self.assertEqual(reader.end_offsets([at]), {at: 10})
        self.assertEqual(reader.offsets_for_times({at: 1700000003500})[at].offset, 4)
        self.assertIsNone(reader.offsets_for_times({at: 1700000009001})[at])

    def test_topics_and_partitions_are_listed(self):
        reader = self.reader(4)
        self.assertIn(TOPIC, reader.topics())
        self.assertEqual(reader.partitions_for_topic(TOPIC), set(range(8)))

    def test_topics_are_made_shown_and_deleted(self):
        admin = KafkaAdminClient(bootstrap_servers=self.broker.bootstrap)
        self.addCleanup(admin.close)
        admin.create_topics([NewTopic('made', 3, 1, topic_configs={'retention.ms': '3600000'})])
        with self.assertRaises(TopicAlreadyExistsError):
            admin.create_topics([NewTopic('made', 3, 1)])
        self.assertEqual(self.reader(4).partitions_for_topic('made'), {0, 1, 2})
        admin.delete_topics(['made'])
        self.assertNotIn('made', self.reader(4).topics())

    def test_errors_are_told(self):
        producer = self.producer(max_request_size=3_000_000, retries=0)
        with self.assertRaises(MessageSizeTooLargeError):
            self.send(producer, [b'x' * 2_000_000], 5)
        reader = self.reader(5)
        reader.seek(TopicPartition(TOPIC, 5), 1000)
        with self.assertRaises(OffsetOutOfRangeError):
            for _ in range(20):
                reader.poll(timeout_ms=200)


if __name__ == '__main__':
    main()
