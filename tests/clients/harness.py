"""Brokers for the tests of real clients: `klamm broker` as a process on free ports of loopback, that dies with the test
and keeps its data in a folder that does too. Which program: $KLAMM, else build/release/klamm.

    with Broker(brokers=1, partitions=4) as broker:
        broker.bootstrap      # "127.0.0.1:PORT"
        broker.kill()         # as kill -9 does it; broker.start() brings it back on its data

With $KLAMM_CAPTURE=FILE what clients and brokers say goes through capture.py's proxies, which keep the first request
and response of each API and version in FILE.
"""

import ctypes
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOPIC = 'trial'  # the one that `klamm broker` makes by itself
# What is waited for and has not come after so long does not come. Many times what anything takes: a machine whose disk syncs in
# tenths of a second, with other tests beside, stretches all of it.
SECONDS_MAX = 60
ATTEMPT_SECONDS = 10  # of one attempt of what `eventually` makes again
FETCH, METADATA, FIND_COORDINATOR, API_VERSIONS = 1, 3, 10, 18


def die_with_parent():
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_ports(count):
    return int(subprocess.check_output([ROOT / 'tests/tools/free_ports', str(count)]))


class Broker:
    def __init__(self, brokers=1, partitions=4, settings=()):
        self.brokers, self.partitions, self.settings = brokers, partitions, settings
        self.folder = tempfile.TemporaryDirectory(prefix='klamm-clients-')
        self.log = Path(self.folder.name) / 'log'
        self.port = free_ports(brokers + 1)
        self.process = None
        self.proxies = []
        self.ports = [self.port + i for i in range(brokers)]
        if os.environ.get('KLAMM_CAPTURE'):
            import capture
            self.proxies = capture.proxies(self.ports, os.environ['KLAMM_CAPTURE'])
        shown = [proxy.port for proxy in self.proxies] or self.ports
        self.bootstrap = ','.join(f'127.0.0.1:{port}' for port in shown)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()
        for proxy in self.proxies:
            proxy.close()
        self.folder.cleanup()

    def start(self):
        words = [os.environ.get('KLAMM', ROOT / 'build/release/klamm'), 'broker', '--brokers', str(self.brokers),
                 '--listen', f'127.0.0.1:{self.port}', '--dir', f'{self.folder.name}/data', '--topic', TOPIC,
                 '--partitions', str(self.partitions)]
        for setting in self.settings:
            words += ['--set', setting]
        with open(self.log, 'ab') as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            preexec_fn=die_with_parent)
        deadline = time.monotonic() + SECONDS_MAX
        while not all(map(self.leads, self.ports)):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f'the broker did not come up:\n{self.log.read_text(errors="replace")}')
            time.sleep(0.02)

    def leads(self, port):
        """Whether the broker on this port names a leader for every partition."""
        try:
            answer = call(port, METADATA, 1, b'\xff' * 4)  # null: all topics
        except OSError:
            return False
        name = len(TOPIC).to_bytes(2, 'big') + TOPIC.encode()
        at = answer.find(name)
        if at < 0:
            return False
        at += len(name) + 1  # is_internal
        count = int.from_bytes(answer[at:at + 4], 'big')
        at += 4
        for _ in range(count):  # error, index, leader, replicas, isr
            leader = int.from_bytes(answer[at + 6:at + 10], 'big', signed=True)
            if answer[at:at + 2] != b'\0\0' or leader < 0:
                return False
            at += 10
            for _ in range(2):
                at += 4 + 4 * int.from_bytes(answer[at:at + 4], 'big')
        return count == self.partitions

    def kill(self):
        self.end(signal.SIGKILL)

    def stop(self):
        """Asks it to stop, waits, and gives its exit status."""
        return self.end(signal.SIGTERM)

    def end(self, which):
        if self.process is None:
            return None
        self.process.send_signal(which)
        status = self.process.wait(timeout=SECONDS_MAX)
        self.process = None
        return status


def call(port, key, version, body, header=b'\xff\xff', timeout=5):
    """A response without its frame and correlation id, to a request whose header ends in `header`: a client id that is
    null, and tagged fields where the version has them."""
    with socket.create_connection(('127.0.0.1', port), timeout=timeout) as line:
        frame = struct.pack('>hhi', key, version, 7) + header + body
        line.sendall(struct.pack('>i', len(frame)) + frame)
        answer = exactly(line, struct.unpack('>i', exactly(line, 4))[0])
        if answer[:4] != struct.pack('>i', 7):
            raise AssertionError('the answer belongs to another request')
        return answer[4:]


def eventually(look, well):
    """What `look` gives once `well` holds of it, or after SECONDS_MAX: metadata reaches brokers one after another, and who has
    changed it may ask one that has not heard of it. Whatever `look` raises is raised after that time only."""
    deadline = time.monotonic() + SECONDS_MAX
    while True:
        try:
            seen = look()
            if well(seen) or time.monotonic() > deadline:
                return seen
        except Exception:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)


def exactly(line, size):
    parts = b''
    while len(parts) < size:
        part = line.recv(size - len(parts))
        if not part:
            raise ConnectionError('closed')
        parts += part
    return parts


class BrokerCase(unittest.TestCase):
    """Cases that share one broker."""
    OPTIONS = {}

    @classmethod
    def setUpClass(cls):
        cls.broker = Broker(**cls.OPTIONS)
        cls.addClassCleanup(cls.broker.__exit__)
        cls.broker.start()


def main():
    """Runs the calling script's cases; the last line counts them."""
    program = unittest.main(exit=False, verbosity=2 if '-v' in sys.argv else 1, warnings='ignore')
    sys.stdout.flush()
    result = program.result
    bad = len(result.failures) + len(result.errors)
    print(f'{max(result.testsRun - bad, 0)} passed, {bad} failed')
    sys.exit(0 if result.wasSuccessful() and result.testsRun > 0 else 1)
