"""Runs a program beside three brokers on loopback, which it finds in $BOOTSTRAP; its topic is $TOPIC.

    with_broker.py COMMAND...
"""

import os
import subprocess
import sys

from harness import TOPIC, Broker

SECONDS_MAX = 120


def main(command):
    with Broker(brokers=3, partitions=4, settings=('group.initial.rebalance.delay.ms=200',)) as broker:
        run = subprocess.run(command, env={**os.environ, 'BOOTSTRAP': broker.bootstrap, 'TOPIC': TOPIC},
                             timeout=SECONDS_MAX, check=False)
        if run.returncode != 0:
            print(broker.log.read_text(errors='replace')[-3000:], file=sys.stderr)
        return run.returncode


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
