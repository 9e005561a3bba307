"""Kafka's own tools, 4.1, against brokers on loopback: topics and configurations are made and shown, the console producer's
lines reach the console consumer, offsets are listed, the performance tests run, and Kafka's own test of compatibility
passes. $CLASSPATH has their jars (all.d/20-java.sh)."""

import re
import subprocess
import tempfile

from harness import TOPIC, BrokerCase, eventually, main

TOOLS = 'org.apache.kafka.tools.'
SECONDS_MAX = 90


class Tools(BrokerCase):
    OPTIONS = {'brokers': 3, 'partitions': 2, 'settings': ('group.initial.rebalance.delay.ms=200',)}

    def run_tool(self, name, *words, stdin='', fails=False, where=('--bootstrap-server',)):
        """What a tool prints; it must end well, or with `fails` badly."""
        place = [*where, self.broker.bootstrap] if where else []
        run = subprocess.run(['java', '-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1',
                              '-Dorg.slf4j.simpleLogger.defaultLogLevel=error', name, *place, *words],
                             input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=SECONDS_MAX)
        self.assertEqual(run.returncode != 0, fails, f'{name} {words}\n{run.stdout}\n{run.stderr}')
        return run.stdout

    def create(self, topic, partitions=1):
        self.run_tool(TOOLS + 'TopicCommand', '--create', '--topic', topic, '--partitions', str(partitions),
                      '--replication-factor', '3')

    def test_versions_are_listed_for_every_broker(self):
        printed = self.run_tool(TOOLS + 'BrokerApiVersionsCommand')
        self.assertEqual(len(re.findall(r'\(id: \d+ rack:', printed)), 3)
        self.assertEqual(printed.count('Fetch(1): 4 to 18 [usable: 18]'), 3)

    def test_topics_are_made_grown_shown_and_deleted(self):
        self.create('made', 2)
        self.run_tool(TOOLS + 'TopicCommand', '--alter', '--topic', 'made', '--partitions', '3')
        shown = self.run_tool(TOOLS + 'TopicCommand', '--describe', '--topic', 'made')
        self.assertIn('PartitionCount: 3\tReplicationFactor: 3', shown)
        self.assertEqual(len(re.findall(r'Leader: [123]\t', shown)), 3)
        self.run_tool(TOOLS + 'TopicCommand', '--create', '--topic', 'made', fails=True)
        self.run_tool(TOOLS + 'TopicCommand', '--delete', '--topic', 'made')
        self.assertNotIn('made', self.run_tool(TOOLS + 'TopicCommand', '--list').split())

    def test_configurations_are_changed_and_shown(self):
        self.create('configured')
        of_it = ('--entity-type', 'topics', '--entity-name', 'configured')
        self.run_tool('kafka.admin.ConfigCommand', *of_it, '--alter', '--add-config', 'max.message.bytes=2000000')
        shown = self.run_tool('kafka.admin.ConfigCommand', *of_it, '--describe')
        self.assertIn('DYNAMIC_TOPIC_CONFIG:max.message.bytes=2000000, DEFAULT_CONFIG:message.max.bytes=1048588', shown)
        self.run_tool('kafka.admin.ConfigCommand', *of_it, '--alter', '--add-config', 'max.message.bytes=x', fails=True)

    def test_console_producer_to_console_consumer_with_every_codec(self):
        self.create('spoken')
        lines = []
        for codec in ('none', 'gzip', 'snappy', 'lz4', 'zstd'):
            some = [f'{codec}-{i}' for i in range(100)]
            self.run_tool(TOOLS + 'ConsoleProducer', '--topic', 'spoken', '--compression-codec', codec,
                          stdin='\n'.join(some) + '\n')
            lines += some
        heard = self.run_tool(TOOLS + 'consumer.ConsoleConsumer', '--topic', 'spoken', '--partition', '0', '--offset',
                              'earliest', '--max-messages', str(len(lines)))
        self.assertEqual(heard.split(), lines)
        self.assertEqual(self.run_tool(TOOLS + 'GetOffsetShell', '--topic', 'spoken').split(), [f'spoken:0:{len(lines)}'])
        self.assertEqual(self.run_tool(TOOLS + 'GetOffsetShell', '--topic', 'spoken', '--time', '-2').split(),
                         ['spoken:0:0'])

    def test_a_group_reads_and_is_shown_and_moved(self):
        self.create('grouped', 2)
        self.run_tool(TOOLS + 'ConsoleProducer', '--topic', 'grouped', stdin=''.join(f'{i}\n' for i in range(100)))
        heard = self.run_tool(TOOLS + 'consumer.ConsoleConsumer', '--topic', 'grouped', '--group', 'readers',
                              '--from-beginning', '--max-messages', '100')
        self.assertEqual(sorted(map(int, heard.split())), list(range(100)))
        groups = TOOLS + 'consumer.group.ConsumerGroupCommand'
        self.assertIn('readers', self.run_tool(groups, '--list').split())
        shown = self.run_tool(groups, '--describe', '--group', 'readers')
        rows = [line.split() for line in shown.splitlines() if line.startswith('readers')]
        self.assertEqual(sum(int(row[3]) for row in rows), 100)
        self.assertEqual({row[5] for row in rows}, {'0'})  # the lag; a partition may have no row, if nothing was there
        self.run_tool(groups, '--group', 'readers', '--topic', 'grouped', '--reset-offsets', '--to-earliest', '--execute')
        again = self.run_tool(TOOLS + 'consumer.ConsoleConsumer', '--topic', 'grouped', '--group', 'readers',
                              '--max-messages', '100')
        self.assertEqual(sorted(map(int, again.split())), list(range(100)))
        self.run_tool(groups, '--delete', '--group', 'readers')
        self.assertNotIn('readers', self.run_tool(groups, '--list').split())

    def test_verifiable_producer_and_consumer_agree(self):
        printed = self.run_tool(TOOLS + 'VerifiableProducer', '--topic', TOPIC, '--max-messages', '500', '--acks', '-1')
        self.assertEqual(printed.count('"producer_send_success"'), 500)
        printed = self.run_tool(TOOLS + 'VerifiableConsumer', '--topic', TOPIC, '--group-id', 'verifying',
                                '--max-messages', '500', '--reset-policy', 'earliest')
        self.assertEqual(sum(map(int, re.findall(r'"records_consumed","count":(\d+)', printed) or
                                 re.findall(r'"count":(\d+),"name":"records_consumed"', printed))), 500, printed[-2000:])

    def test_records_are_deleted_and_log_directories_shown(self):
        self.create('cut')
        self.run_tool(TOOLS + 'ConsoleProducer', '--topic', 'cut', stdin='a\nb\nc\n')
        with tempfile.NamedTemporaryFile('w', suffix='.json') as file:
            file.write('{"partitions":[{"topic":"cut","partition":0,"offset":2}],"version":1}')
            file.flush()
            self.assertIn('low_watermark: 2', self.run_tool(TOOLS + 'DeleteRecordsCommand', '--offset-json-file', file.name))
        self.assertEqual(self.run_tool(TOOLS + 'GetOffsetShell', '--topic', 'cut', '--time', '-2').split(), ['cut:0:2'])
        self.assertIn('"partition":"cut-0"', self.run_tool(TOOLS + 'LogDirsCommand', '--describe', '--topic-list', 'cut'))

    def test_the_performance_producer_ends_with_every_record_told(self):
        printed = self.run_tool(TOOLS + 'ProducerPerformance', '--topic', TOPIC, '--num-records', '20000', '--record-size',
                                '100', '--throughput', '-1', '--producer-props', 'acks=all',
                                f'bootstrap.servers={self.broker.bootstrap}', where=())
        self.assertIn('20000 records sent', printed)

    def test_transactions_are_written_read_listed_and_a_hanging_one_is_aborted(self):
        self.create('exactly')
        command = TOOLS + 'TransactionsCommand'
        perf = TOOLS + 'ProducerPerformance'
        words = ('--topic', 'exactly', '--record-size', '50', '--transactional-id', 'perf', '--producer-props', 'acks=all',
                 f'bootstrap.servers={self.broker.bootstrap}')
        printed = self.run_tool(perf, *words, '--num-records', '2000', '--throughput', '2000', '--transaction-duration-ms',
                                '100', where=())
        self.assertIn('2000 records sent', printed)
        listed = self.run_tool(command, 'list')
        # Each transaction has an epoch of its own (transaction.version 2), or there were few of them.
        self.assertRegex(listed, r'perf\s+\d+\s+\d+\s+CompleteCommit')
        described = self.run_tool(command, 'describe', '--transactional-id', 'perf')
        [epoch] = [int(line.split()[3]) for line in described.splitlines() if 'CompleteCommit' in line]
        self.assertGreater(epoch, 3)
        read = (TOOLS + 'consumer.ConsoleConsumer', '--topic', 'exactly', '--from-beginning', '--timeout-ms', '8000')
        self.assertEqual(len(self.run_tool(*read, '--isolation-level', 'read_committed').split()), 2000)
        # One that is killed within a transaction.
        with subprocess.Popen(['java', '-Xmx256m', perf, *words, '--num-records', '100000', '--throughput', '200',
                               '--transaction-duration-ms', '100000'], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as killed:
            open_at = eventually(self.open_transaction, lambda start: start is not None)
            killed.kill()
        self.assertRegex(self.run_tool(command, 'list'), r'perf\s+\d+\s+\d+\s+Ongoing')
        self.assertEqual(len(self.run_tool(*read, '--isolation-level', 'read_committed').split()), 2000)
        self.run_tool(command, 'abort', '--topic', 'exactly', '--partition', '0', '--start-offset', str(open_at))
        self.assertIsNone(self.open_transaction())
        self.assertEqual(len(self.run_tool(*read, '--isolation-level', 'read_committed').split()), 2000)
        self.assertGreater(len(self.run_tool(*read).split()), 2000)

    def open_transaction(self):
        """Where the one open transaction of `exactly` begins."""
        printed = self.run_tool(TOOLS + 'TransactionsCommand', 'describe-producers', '--topic', 'exactly', '--partition',
                                '0')
        rows = [line.split() for line in printed.splitlines()[1:] if line.strip()]
        starts = [row[5] for row in rows if row[5] != 'None']
        return int(starts[0]) if starts else None

    def test_kafkas_own_test_of_compatibility(self):
        supported = ('offsets-for-times', 'cluster-id', 'create-topics', 'describe-configs', 'idempotent-producer')
        words = [word for name in supported for word in (f'--{name}-supported', 'true')]
        self.run_tool(TOOLS + 'ClientCompatibilityTest', '--topic', TOPIC, '--num-cluster-nodes', '3',
                      '--expect-record-too-large-exception', 'false', '--describe-acls-supported', 'false', *words)


if __name__ == '__main__':
    main()
