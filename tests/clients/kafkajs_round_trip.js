// KafkaJS against the brokers in $BOOTSTRAP: a topic is made, what is sent with each codec and acks is read by a group, in
// order, and its offsets are shown. Ends with status 1 when anything is otherwise.
const assert = require('node:assert');
const { Kafka, CompressionTypes, logLevel } = require('kafkajs');

const kafka = new Kafka({ brokers: process.env.BOOTSTRAP.split(','), clientId: 'kafkajs', logLevel: logLevel.ERROR });

async function main() {
  const admin = kafka.admin();
  await admin.connect();
  assert.ok(await admin.createTopics({ topics: [{ topic: 'made', numPartitions: 1, replicationFactor: 3 }] }));
  assert.ok((await admin.listTopics()).includes('made'));
  const cluster = await admin.describeCluster();
  assert.equal(cluster.brokers.length, 3);

  const sent = [];
  for (const compression of [CompressionTypes.None, CompressionTypes.GZIP]) {
    for (const idempotent of [false, true]) {
      const producer = kafka.producer({ idempotent, maxInFlightRequests: 1 });
      await producer.connect();
      const values = Array.from({ length: 100 }, (_, i) => `${compression}-${idempotent}-${i}`);
      await producer.send({ topic: 'made', compression, acks: -1, messages: values.map((value) => ({ key: 'k', value })) });
      sent.push(...values);
      await producer.disconnect();
    }
  }

  const consumer = kafka.consumer({ groupId: 'readers', heartbeatInterval: 500, sessionTimeout: 6000 });
  await consumer.connect();
  await consumer.subscribe({ topic: 'made', fromBeginning: true });
  const received = [];
  await new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error(`only ${received.length} came`)), 30000).unref();
    consumer.run({
      eachMessage: async ({ message }) => {
        received.push(message.value.toString());
        if (received.length === sent.length) resolve();
      },
    });
  });
  await consumer.stop();
  await consumer.disconnect();
  assert.deepEqual(received, sent);
  const [offsets] = await admin.fetchOffsets({ groupId: 'readers', topics: ['made'] });
  assert.equal(offsets.partitions[0].offset, String(sent.length));
  await admin.deleteTopics({ topics: ['made'] });
  await admin.disconnect();
  console.log(`${received.length} records came back as they were sent`);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
