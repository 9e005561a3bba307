#!/usr/bin/python3
"""The command `klamm broker` as a person starts it, and what administrators do to it: librdkafka's admin client, and
`klamm topics` and `klamm configs` beside it."""

import os
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

import harness
from harness import ATTEMPT_SECONDS, SECONDS_MAX, eventually

KLAMM = os.environ.get('KLAMM', str(harness.ROOT / 'build/release/klamm'))


class Process:
    """A `klamm broker` with these words, in a folder of its own."""

    def __init__(self, words, folder):
        self.out = open(Path(folder) / 'out', 'wb+')
        self.err = open(Path(folder) / 'err', 'wb+')
        self.process = subprocess.Popen([KLAMM, 'broker', *words], stdin=subprocess.DEVNULL, stdout=self.out,
                                        stderr=self.err, cwd=folder, preexec_fn=harness.die_with_parent)

    def text(self, stream):
        stream.flush()
        return Path(stream.name).read_text()

    def await_line(self, wanted):
        deadline = time.monotonic() + SECONDS_MAX
        while wanted not in self.text(self.out):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f'no line {wanted!r}:\n{self.text(self.out)}{self.text(self.err)}')
            time.sleep(0.01)

    def end(self, which=signal.SIGTERM):
        self.process.send_signal(which)
        status = self.process.wait(timeout=SECONDS_MAX)
        self.out.close()
        self.err.close()
        return status


def klamm(*words):
    """Runs the command; its status, and what it printed."""
    done = subprocess.run([KLAMM, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS_MAX + 10)
    return done.returncode, done.stdout, done.stderr


class Command(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix='klamm-administration-')
        self.addCleanup(self.folder.cleanup)
        self.port = harness.free_ports(2)

    def start(self, *words):
        process = Process(words, self.folder.name)
        self.addCleanup(lambda: process.process.poll() is None and process.process.kill())
        process.await_line(f'klamm broker: serving on 127.0.0.1:{self.port}\n')
        return process

    def test_file(self):
        path = Path(self.folder.name) / 'server.properties'
        path.write_text(f'''# as Kafka's own
process.roles=broker,controller
node.id=7
controller.quorum.voters=7@127.0.0.1:{self.port + 1}
listeners=PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.port + 1}
controller.listener.names=CONTROLLER
log.dirs={self.folder.name}/logs
num.partitions=3
num.io.threads=8
num.io.threads=9
colour=red
''')
        broker = self.start('server.properties', '--set', 'num.partitions=4')
        warned = [line for line in broker.text(broker.err).splitlines() if line.startswith('klamm broker:')]
        self.assertEqual(warned, [
            "klamm broker: server.properties: num.io.threads is an option of Kafka's that is not served yet; it does "
            'nothing', 'klamm broker: server.properties: colour is no option; it does nothing'])
        admin = AdminClient({'bootstrap.servers': f'127.0.0.1:{self.port}', 'log_level': 0})
        self.assertEqual(list(admin.list_topics(timeout=SECONDS_MAX).brokers), [7])
        producer = Producer({'bootstrap.servers': f'127.0.0.1:{self.port}', 'log_level': 0})
        producer.produce('made', b'by being asked for')
        self.assertEqual(producer.flush(SECONDS_MAX), 0)
        self.assertEqual(len(admin.list_topics('made', timeout=SECONDS_MAX).topics['made'].partitions), 4)
        # A second one on the same directory is refused, whatever its ports.
        other = harness.free_ports(2)
        second = subprocess.run([KLAMM, 'broker', '--dir', f'{self.folder.name}/logs', '--set', 'node.id=7',
                                 '--listen', f'127.0.0.1:{other}'], stdin=subprocess.DEVNULL, capture_output=True,
                                text=True, timeout=SECONDS_MAX)
        self.assertNotEqual(second.returncode, 0)
        self.assertNotIn('serving', second.stdout)
        self.assertIn('lock', second.stderr)
        self.assertEqual(broker.end(), 0)
        # What was there is there again.
        broker = self.start('server.properties')
        consumer = Consumer({'bootstrap.servers': f'127.0.0.1:{self.port}', 'group.id': 'none',
                             'log_level': 0})
        self.assertEqual(len(consumer.list_topics('made', timeout=SECONDS_MAX).topics['made'].partitions), 4)
        self.assertEqual(broker.end(), 0)

    def test_wrong_words(self):
        path = Path(self.folder.name) / 'bad.properties'
        path.write_text('num.partitions=none\n')
        for words in (['--set', 'colour=red'], ['--set', 'num.partitions=0'], [str(path)]):
            status, out, err = klamm('broker', *words)
            self.assertEqual((status, out, err.count('\n')), (2, '', 1), err)
            self.assertTrue(err.startswith('klamm broker: '), err)


class Administration(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix='klamm-administration-')
        cls.addClassCleanup(cls.folder.cleanup)
        port = harness.free_ports(4)
        cls.broker = Process(['--brokers', '3', '--listen', f'127.0.0.1:{port}', '--set', 'min.insync.replicas=2'],
                             cls.folder.name)
        cls.addClassCleanup(cls.broker.process.kill)
        cls.broker.await_line('serving on')
        cls.bootstrap = f'127.0.0.1:{port},127.0.0.1:{port + 1}'
        cls.admin = AdminClient({'bootstrap.servers': cls.bootstrap, 'log_level': 0})
        eventually(lambda: cls.admin.list_topics(timeout=ATTEMPT_SECONDS).brokers, lambda seen: len(seen) == 3)

    def result(self, futures):
        (future,) = futures.values()
        return future.result(SECONDS_MAX)

    def create(self, topic, partitions):
        """Asked again while not all three brokers are there."""
        def ask():
            try:
                self.result(self.admin.create_topics([NewTopic(topic, partitions, 3, config={'retention.ms': '60000'})]))
            except KafkaException as error:
                if error.args[0].name() != 'TOPIC_ALREADY_EXISTS':
                    raise
            return True
        eventually(ask, bool)

    def partitions(self, topic):
        return self.admin.list_topics(topic, timeout=ATTEMPT_SECONDS).topics[topic].partitions

    def await_partitions(self, topic, count):
        seen = eventually(lambda: self.partitions(topic), lambda seen: len(seen) == count)
        self.assertEqual(len(seen), count)

    def test_topics(self):
        self.create('orders', 2)
        self.await_partitions('orders', 2)
        with self.assertRaisesRegex(KafkaException, "Topic 'orders' already exists."):
            self.result(self.admin.create_topics([NewTopic('orders', 2, 3)]))
        with self.assertRaisesRegex(KafkaException, 'cannot be reached because only 3 broker'):
            self.result(self.admin.create_topics([NewTopic('wide', 1, 4)]))
        with self.assertRaisesRegex(KafkaException, 'Unknown topic config name: colour'):
            self.result(self.admin.create_topics([NewTopic('odd', 1, 1, config={'colour': 'red'})]))
        self.result(self.admin.create_partitions([NewPartitions('orders', 5)]))
        self.await_partitions('orders', 5)
        with self.assertRaisesRegex(KafkaException, 'would not be an increase'):
            self.result(self.admin.create_partitions([NewPartitions('orders', 1)]))
        self.result(self.admin.delete_topics(['orders']))
        self.await_partitions('orders', 0)

    def test_configs(self):
        self.create('kept', 1)
        self.await_partitions('kept', 1)
        resource = ConfigResource('topic', 'kept')
        def described():
            return self.result(self.admin.describe_configs([resource]))
        shown = eventually(described, lambda seen: seen['retention.ms'].value == '60000')
        self.assertEqual((shown['retention.ms'].value, shown['retention.ms'].source), ('60000', 1))
        self.assertEqual((shown['max.message.bytes'].value, shown['max.message.bytes'].source), ('1048588', 5))
        # What the file says of it is the cluster's (KIP-966).
        self.assertEqual((shown['min.insync.replicas'].value, shown['min.insync.replicas'].source), ('2', 3))
        # AlterConfigs replaces all that was set.
        self.result(self.admin.alter_configs([ConfigResource('topic', 'kept',
                                                             set_config={'max.message.bytes': '9000'})]))
        shown = eventually(described, lambda seen: seen['max.message.bytes'].value == '9000' and
                           seen['retention.ms'].source == 5)
        self.assertEqual((shown['max.message.bytes'].value, shown['max.message.bytes'].source), ('9000', 1))
        self.assertEqual(shown['retention.ms'].source, 5)
        producer = Producer({'bootstrap.servers': self.bootstrap, 'log_level': 0})
        failed = []
        producer.produce('kept', os.urandom(20_000), callback=lambda error, _: failed.append(error))
        producer.flush(SECONDS_MAX)
        self.assertEqual(failed[0].name(), 'MSG_SIZE_TOO_LARGE')
        shown = self.result(self.admin.describe_configs([ConfigResource('broker', '2')]))
        self.assertEqual(shown['node.id'].value, '2')

    def test_commands(self):
        at = ['--bootstrap-server', self.bootstrap]
        self.assertEqual(klamm('topics', *at, '--create', '--topic', 'ours', '--partitions', '2',
                               '--replication-factor', '3', '--config', 'min.insync.replicas=1'),
                         (0, 'Created topic ours.\n', ''))
        self.assertEqual(klamm('topics', *at, '--create', '--topic', 'ours'),
                         (1, '', "klamm topics: Topic 'ours' already exists.\n"))
        self.assertEqual(klamm('topics', *at, '--create', '--topic', 'ours', '--if-not-exists'), (0, '', ''))
        self.await_partitions('ours', 2)
        self.assertIn('ours\n', eventually(lambda: klamm('topics', *at, '--list')[1], lambda seen: 'ours\n' in seen))
        status, out, _ = eventually(lambda: klamm('topics', *at, '--describe', '--topic', 'ours'),
                                    lambda seen: seen[0] == 0 and len(seen[1].splitlines()) == 3)
        lines = out.splitlines()
        self.assertEqual((status, len(lines)), (0, 3))
        self.assertRegex(lines[0], r'^Topic: ours\tTopicId: \S{22}\tPartitionCount: 2\tReplicationFactor: 3\tConfigs: '
                                   r'min.insync.replicas=1$')
        self.assertRegex(lines[2], r'^\tTopic: ours\tPartition: 1\tLeader: [123]\tReplicas: [123],[123],[123]\tIsr: ')
        names = ['--entity-type', 'topics', '--entity-name', 'ours']
        self.assertEqual(klamm('configs', *at, *names, '--alter', '--add-config',
                               'cleanup.policy=[compact,delete],segment.bytes=2000000', '--delete-config',
                               'min.insync.replicas')[0], 0)
        out = eventually(lambda: klamm('configs', *at, *names, '--describe')[1],
                         lambda seen: 'segment.bytes=2000000 ' in seen and 'min.insync.replicas' not in seen)
        self.assertIn('cleanup.policy=compact,delete ', out)
        self.assertIn('segment.bytes=2000000 ', out)
        self.assertNotIn('min.insync.replicas', out)
        self.assertEqual(klamm('configs', *at, *names, '--alter', '--add-config', 'segment.bytes=1'),
                         (1, '', 'klamm configs: Invalid value 1 for configuration segment.bytes: Value must be at '
                                 'least 1048576\n'))
        self.assertIn('log.segment.bytes', klamm('configs', *at, '--entity-type', 'brokers', '--entity-name', '3',
                                                 '--describe', '--all')[1])
        self.assertEqual(klamm('topics', *at, '--alter', '--topic', 'ours', '--partitions', '3'), (0, '', ''))
        self.await_partitions('ours', 3)
        self.assertEqual(klamm('topics', *at, '--delete', '--topic', 'ours'), (0, '', ''))
        self.await_partitions('ours', 0)
        self.assertEqual(klamm('topics', *at, '--list', '--nonsense')[0], 2)
        self.assertEqual(klamm('configs', *at, '--describe')[0], 2)


if __name__ == '__main__':
    harness.main()
