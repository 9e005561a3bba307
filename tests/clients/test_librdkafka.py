#!/usr/bin/python3
"""librdkafka through Debian's python3-confluent-kafka against brokers on loopback: what it sends is kept, in order and
once, with every codec and acks; offsets are found by time and by end; errors are the ones that it knows."""

import struct
import threading
import time

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

from harness import API_VERSIONS, FETCH, FIND_COORDINATOR, SECONDS_MAX, TOPIC, BrokerCase, call, eventually, main


def producer(broker, **settings):
    made = Producer({'bootstrap.servers': broker.bootstrap, 'linger.ms': 5,
                     **{name.replace('_', '.'): value for name, value in settings.items()}})
    made.list_topics(TOPIC, timeout=SECONDS_MAX)  # else it looks for the topic once a second
    return made


def consumer(broker, partition, offset, **settings):
    """One that reads a partition from an offset, without a group's help."""
    made = Consumer({'bootstrap.servers': broker.bootstrap, 'group.id': 'none', 'enable.auto.commit': False,
                     'enable.partition.eof': True, 'check.crcs': True, 'fetch.wait.max.ms': 100, 'auto.offset.reset': 'error',
                     **{name.replace('_', '.'): value for name, value in settings.items()}})
    made.assign([TopicPartition(TOPIC, partition, offset)])
    return made


def read_to_end(reader):
    """Messages until the partition's end."""
    messages, deadline = [], time.monotonic() + SECONDS_MAX
    while time.monotonic() < deadline:
        message = reader.poll(1)
        if message is None:
            continue
        if message.error() is None:
            messages.append(message)
        elif message.error().code() == KafkaError._PARTITION_EOF:
            return messages
        else:
            raise KafkaException(message.error())
    raise AssertionError('the end was not reached')


def stored(port, partition):
    """The records of a partition as the broker has them: Fetch 4 from offset 0."""
    body = (struct.pack('>iiiibi', -1, 0, 0, 1 << 20, 0, 1) + struct.pack('>h', len(TOPIC)) + TOPIC.encode() +
            struct.pack('>iiqi', 1, partition, 0, 1 << 20))
    answer = call(port, FETCH, 4, body)
    # Throttle, one topic, its name, one partition; index, error, watermark, stable offset, aborted; size.
    at = 4 + 4 + 2 + len(TOPIC) + 4 + 4 + 2 + 8 + 8
    aborted = struct.unpack('>i', answer[at:at + 4])[0]
    at += 4 + 16 * max(aborted, 0)
    size = struct.unpack('>i', answer[at:at + 4])[0]
    return answer[at + 4:at + 4 + size]


def codecs(records):
    """Of each batch of a partition, the codec."""
    found = []
    while records:
        found.append(struct.unpack('>h', records[21:23])[0] & 7)
        records = records[12 + struct.unpack('>i', records[8:12])[0]:]
    return found


def send(sender, values, partition, **more):
    """Produces each value and waits; gives the offsets that were told."""
    offsets, errors = [], []

    def told(error, message):
        errors.append(error) if error else offsets.append(message.offset())

    for value in values:
        sender.produce(TOPIC, value, partition=partition, on_delivery=told, **more)
        sender.poll(0)
    if sender.flush(SECONDS_MAX) != 0:
        raise AssertionError('not all was told')
    if errors:
        raise KafkaException(errors[0])
    return offsets


class OneBroker(BrokerCase):
    OPTIONS = {'partitions': 8, 'settings': ('auto.create.topics.enable=false',)}

    def test_every_codec_and_acks_comes_back_in_order(self):
        sent = []
        for codec in ('none', 'gzip', 'snappy', 'lz4', 'zstd'):
            for acks in (1, 'all'):
                values = [f'{codec}-{acks}-{i}-{"x" * 100}' for i in range(200)]
                send(producer(self.broker, compression_codec=codec, acks=acks), values, 0)
                sent += values
        with_reader = consumer(self.broker, 0, OFFSET_BEGINNING)
        messages = read_to_end(with_reader)
        self.assertEqual([m.value().decode() for m in messages], sent)
        self.assertEqual([m.offset() for m in messages], list(range(len(sent))))
        with_reader.close()

    def test_what_a_client_compresses_is_stored_compressed(self):
        # librdkafka sends plain records, and says so in its log only, to a broker whose versions look too new to it.
        for codec in ('gzip', 'snappy', 'lz4', 'zstd'):
            send(producer(self.broker, compression_codec=codec), [b'a' * 1000], 6)
        # For LZ4 it wants to see FindCoordinator 0, of all things.
        table = call(self.broker.port, API_VERSIONS, 0, b'')
        finds = struct.pack('>hh', FIND_COORDINATOR, 0) in [table[at:at + 4] for at in range(6, len(table), 6)]
        self.assertEqual(codecs(stored(self.broker.port, 6)), [1, 2, 3 if finds else 0, 4])

    def test_acks_0_is_kept_and_told_without_an_offset(self):
        offsets = send(producer(self.broker, acks=0), [b'a', b'b'], 1)
        self.assertEqual(offsets, [None, None])  # it does not know
        self.assertEqual([m.value() for m in read_to_end(consumer(self.broker, 1, OFFSET_BEGINNING))], [b'a', b'b'])

    def test_an_idempotent_producer_keeps_order_and_sequence(self):
        sender = producer(self.broker, enable_idempotence=True)
        values = [b'%d' % i for i in range(3000)]
        self.assertEqual(send(sender, values, 2), list(range(3000)))
        self.assertEqual([m.value() for m in read_to_end(consumer(self.broker, 2, OFFSET_BEGINNING))], values)

    def test_keys_headers_times_null_and_empty_are_kept(self):
        sender = producer(self.broker)
        sender.produce(TOPIC, b'', key=None, partition=3, timestamp=1700000000123, headers=[('h', b'1'), ('h', None)])
        sender.produce(TOPIC, None, key=b'', partition=3, timestamp=1700000000124)
        sender.produce(TOPIC, b'\xff\x00', key=b'k', partition=3)
        self.assertEqual(sender.flush(SECONDS_MAX), 0)
        first, second, third = read_to_end(consumer(self.broker, 3, OFFSET_BEGINNING))
        self.assertEqual((first.key(), first.value(), first.timestamp()), (None, b'', (1, 1700000000123)))
        self.assertEqual(first.headers(), [('h', b'1'), ('h', None)])
        self.assertEqual((second.key(), second.value(), second.timestamp()), (b'', None, (1, 1700000000124)))
        self.assertEqual((third.key(), third.value()), (b'k', b'\xff\x00'))

    def test_offsets_by_time_and_the_ends(self):
        sender = producer(self.broker)
        for i in range(10):
            sender.produce(TOPIC, b'%d' % i, partition=4, timestamp=1700000000000 + 1000 * i)
        self.assertEqual(sender.flush(SECONDS_MAX), 0)
        reader = consumer(self.broker, 4, OFFSET_END)
        self.assertEqual(reader.get_watermark_offsets(TopicPartition(TOPIC, 4), timeout=SECONDS_MAX), (0, 10))
        for asked, found in ((1700000000000, 0), (1700000003500, 4), (1700000009000, 9), (1700000009001, -1)):
            [answer] = reader.offsets_for_times([TopicPartition(TOPIC, 4, asked)], timeout=SECONDS_MAX)
            self.assertEqual((answer.offset, answer.error), (found, None), asked)

    def test_metadata_names_cluster_controller_brokers_and_partitions(self):
        answer = producer(self.broker).list_topics(timeout=SECONDS_MAX)
        self.assertTrue(answer.cluster_id)
        self.assertEqual(sorted(answer.brokers), [1])
        self.assertIn(answer.controller_id, answer.brokers)
        self.assertEqual(sorted(answer.topics[TOPIC].partitions), list(range(8)))
        for partition in answer.topics[TOPIC].partitions.values():
            self.assertEqual((partition.leader, partition.replicas, partition.isrs), (1, [1], [1]))

    def test_a_small_fetch_limit_makes_progress_and_seek_goes_back(self):
        values = [bytes([65 + i % 26]) * 3000 for i in range(60)]
        send(producer(self.broker, batch_num_messages=4), values, 5)
        reader = consumer(self.broker, 5, OFFSET_BEGINNING, fetch_message_max_bytes=1000)
        self.assertEqual([m.value() for m in read_to_end(reader)], values)
        reader.seek(TopicPartition(TOPIC, 5, 57))
        self.assertEqual([m.offset() for m in read_to_end(reader)], [57, 58, 59])

    def test_an_offset_out_of_range_is_told(self):
        reader = consumer(self.broker, 6, 1000)
        with self.assertRaises(KafkaException) as raised:
            read_to_end(reader)
        self.assertIn(raised.exception.args[0].code(),
                      (KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET))

    def test_a_topic_and_a_partition_that_are_not_there_are_told(self):
        sender = producer(self.broker, topic_metadata_propagation_max_ms=500, message_timeout_ms=3000)
        errors = []
        with self.assertRaises(KafkaException) as raised:
            send(sender, [b'x'], 99)
        self.assertEqual(raised.exception.args[0].code(), KafkaError._UNKNOWN_PARTITION)
        sender.produce('no-such-topic', b'x', on_delivery=lambda error, _: errors.append(error.code()))
        self.assertEqual(sender.flush(SECONDS_MAX), 0)
        self.assertEqual(errors, [KafkaError.UNKNOWN_TOPIC_OR_PART])

    def test_a_message_that_is_too_large_is_refused_by_the_broker(self):
        sender = producer(self.broker, message_max_bytes=3_000_000)
        with self.assertRaises(KafkaException) as raised:
            send(sender, [b'x' * 2_000_000], 7)
        self.assertEqual(raised.exception.args[0].code(), KafkaError.MSG_SIZE_TOO_LARGE)
        self.assertEqual(send(sender, [b'small'], 7), [0])

    def test_a_reader_that_waits_has_a_record_within_moments(self):
        reader = consumer(self.broker, 7, OFFSET_BEGINNING)
        (_, end) = reader.get_watermark_offsets(TopicPartition(TOPIC, 7), timeout=SECONDS_MAX)
        reader.close()
        reader = consumer(self.broker, 7, end, fetch_wait_max_ms=25_000)
        sender = producer(self.broker, linger_ms=0)
        threading.Timer(1, lambda: send(sender, [b'now'], 7)).start()
        message = reader.poll(15)  # before the wait is over
        self.assertIsNotNone(message)
        self.assertEqual(message.value(), b'now')


class Administration(BrokerCase):
    OPTIONS = {'settings': ('auto.create.topics.enable=false',)}

    def done(self, futures):
        for future in futures.values():
            future.result(timeout=SECONDS_MAX)

    def test_topics_are_made_configured_grown_and_deleted(self):
        admin = AdminClient({'bootstrap.servers': self.broker.bootstrap})
        self.done(admin.create_topics([NewTopic('made', 2, 1, config={'retention.ms': '3600000'})]))
        with self.assertRaises(KafkaException) as raised:
            self.done(admin.create_topics([NewTopic('made', 2, 1)]))
        self.assertEqual(raised.exception.args[0].code(), KafkaError.TOPIC_ALREADY_EXISTS)
        self.done(admin.create_partitions([NewPartitions('made', 3)]))
        made = ConfigResource(ConfigResource.Type.TOPIC, 'made')

        def described():
            [shown] = [future.result(timeout=SECONDS_MAX) for future in admin.describe_configs([made]).values()]
            return shown

        shown = eventually(described, lambda seen: seen['retention.ms'].value == '3600000')
        self.assertEqual((shown['retention.ms'].value, shown['retention.ms'].source), ('3600000', 1))
        self.assertEqual((shown['cleanup.policy'].value, shown['cleanup.policy'].source), ('delete', 5))
        self.done(admin.alter_configs([ConfigResource(ConfigResource.Type.TOPIC, 'made',
                                                      set_config={'cleanup.policy': 'compact'})]))
        shown = eventually(described, lambda seen: seen['cleanup.policy'].value == 'compact')
        self.assertEqual(shown['cleanup.policy'].value, 'compact')
        self.assertEqual(shown['retention.ms'].source, 5)  # AlterConfigs sets all there is

        def listed():
            return admin.list_topics(timeout=SECONDS_MAX).topics

        topics = eventually(listed, lambda seen: len(seen['made'].partitions) == 3)
        self.assertEqual(len(topics['made'].partitions), 3)
        self.done(admin.delete_topics(['made']))
        self.assertNotIn('made', eventually(listed, lambda seen: 'made' not in seen))

    def test_a_topic_whose_name_is_none_is_refused(self):
        admin = AdminClient({'bootstrap.servers': self.broker.bootstrap})
        for name in ('with space', 'x' * 250):
            with self.assertRaises(KafkaException) as raised:
                self.done(admin.create_topics([NewTopic(name, 1, 1)]))
            self.assertEqual(raised.exception.args[0].code(), KafkaError.TOPIC_EXCEPTION)


class AutoCreated(BrokerCase):
    OPTIONS = {}

    def test_a_topic_comes_to_be_when_it_is_produced_to(self):
        sender, offsets = producer(self.broker), []
        sender.produce('fresh', b'x', partition=0, on_delivery=lambda error, m: offsets.append((error, m.offset())))
        self.assertEqual(sender.flush(SECONDS_MAX), 0)
        self.assertEqual(offsets, [(None, 0)])


class Killed(BrokerCase):
    # The controller waits for the end of the killed broker's session, as Kafka's does.
    OPTIONS = {'partitions': 1,
               'settings': ('broker.session.timeout.ms=1000', 'broker.heartbeat.interval.ms=200')}

    def test_nothing_acknowledged_is_missing_and_nothing_is_twice_after_kill_9(self):
        acknowledged, refused = [], []
        sender = producer(self.broker, enable_idempotence=True, message_timeout_ms=20_000, retry_backoff_ms=50,
                          reconnect_backoff_ms=20, reconnect_backoff_max_ms=100)

        def told(error, message):
            (refused if error else acknowledged).append(message.value() if error is None else error)

        sent = 0
        for _ in range(2):
            end = time.monotonic() + 0.6
            while time.monotonic() < end:
                sender.produce(TOPIC, b'%d' % sent, partition=0, on_delivery=told)
                sent += 1
                sender.poll(0)
                if sent % 50 == 0:
                    time.sleep(0.001)
            self.broker.kill()
            self.broker.start()
        self.assertEqual(sender.flush(SECONDS_MAX), 0)
        values = [m.value() for m in read_to_end(consumer(self.broker, 0, OFFSET_BEGINNING))]
        self.assertEqual(refused, [])
        self.assertEqual(len(acknowledged), sent)
        self.assertEqual(values, [b'%d' % i for i in range(sent)])


class ThreeBrokers(BrokerCase):
    OPTIONS = {'brokers': 3, 'partitions': 3}

    def test_every_broker_advertises_the_same(self):
        # Some clients ask one broker and believe it of all.
        header = b'\xff\xff\x00'
        tables = {call(port, API_VERSIONS, 3, b'\x02a\x021\x00', header) for port in self.broker.ports}
        self.assertEqual(len(tables), 1)

    def test_acks_all_over_three_brokers_and_a_reader_of_each_leader(self):
        leaders = producer(self.broker).list_topics(timeout=SECONDS_MAX).topics[TOPIC].partitions
        self.assertEqual({p.leader for p in leaders.values()}, {1, 2, 3})
        for partition in range(3):
            values = [b'%d-%d' % (partition, i) for i in range(300)]
            send(producer(self.broker, enable_idempotence=True), values, partition)
            self.assertEqual([m.value() for m in read_to_end(consumer(self.broker, partition, OFFSET_BEGINNING))],
                             values)


if __name__ == '__main__':
    main()
