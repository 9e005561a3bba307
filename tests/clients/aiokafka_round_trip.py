"""aiokafka, from PyPI, against a broker on loopback: what it sends with each codec comes back in order."""

import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from harness import TOPIC, BrokerCase, main


class OneBroker(BrokerCase):
    OPTIONS = {'partitions': 2}

    def test_what_is_sent_comes_back_in_order(self):
        asyncio.run(self.round_trip())

    async def round_trip(self):
        sent = []
        for codec in (None, 'gzip'):
            for settings in ({'acks': 1}, {'enable_idempotence': True}):
                producer = AIOKafkaProducer(bootstrap_servers=self.broker.bootstrap, compression_type=codec, **settings)
                await producer.start()
                for i in range(100):
                    value = f'{codec}-{i}'.encode()
                    sent.append(value)
                    await producer.send(TOPIC, value, key=b'k', partition=1)
                await producer.stop()
        reader = AIOKafkaConsumer(bootstrap_servers=self.broker.bootstrap, enable_auto_commit=False)
        await reader.start()
        reader.assign([TopicPartition(TOPIC, 1)])
        await reader.seek_to_beginning()
        received = [(await asyncio.wait_for(reader.getone(), 10)).value for _ in sent]
        self.assertEqual(received, sent)
        self.assertEqual(await reader.end_offsets([TopicPartition(TOPIC, 1)]), {TopicPartition(TOPIC, 1): len(sent)})
        await reader.stop()


if __name__ == '__main__':
    main()
