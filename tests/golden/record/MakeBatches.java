// Makes the record batches of this folder with Kafka's own classes, and reads batches back with
// them. See README.md.
//
//     MakeBatches make FOLDER      writes FOLDER/*.hex
//     MakeBatches read FILE...     prints what Kafka reads in each file, a record a line

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.message.LeaderChangeMessage;
import org.apache.kafka.common.record.CompressionType;
import org.apache.kafka.common.record.ControlRecordType;
import org.apache.kafka.common.record.EndTransactionMarker;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.record.MemoryRecordsBuilder;
import org.apache.kafka.common.record.MutableRecordBatch;
import org.apache.kafka.common.record.Record;
import org.apache.kafka.common.record.RecordBatch;
import org.apache.kafka.common.record.TimestampType;

public class MakeBatches {
    static final long TIME = 1_700_000_000_000L;
    static final Header[] NO_HEADERS = Record.EMPTY_HEADERS;

    static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static MemoryRecordsBuilder builder(Compression compression, TimestampType type, long baseOffset,
                                        long producerId, int epoch, int sequence,
                                        boolean transactional, int leaderEpoch) {
        return MemoryRecords.builder(ByteBuffer.allocate(1 << 17), RecordBatch.CURRENT_MAGIC_VALUE,
            compression, type, baseOffset, TIME + 77, producerId, (short) epoch, sequence,
            transactional, leaderEpoch);
    }

    static MemoryRecordsBuilder builder(Compression compression) {
        return builder(compression, TimestampType.CREATE_TIME, 0, RecordBatch.NO_PRODUCER_ID,
            RecordBatch.NO_PRODUCER_EPOCH, RecordBatch.NO_SEQUENCE, false,
            RecordBatch.NO_PARTITION_LEADER_EPOCH);
    }

    // Five records with every kind of null and emptiness; the time goes back once.
    static MemoryRecordsBuilder mixed(MemoryRecordsBuilder b) {
        b.append(TIME, utf8("key"), utf8("value"), NO_HEADERS);
        b.append(TIME + 5, null, utf8("no key"), NO_HEADERS);
        b.append(TIME - 300, utf8("tombstone"), null, NO_HEADERS);
        b.append(TIME + 70_000, null, (byte[]) null, NO_HEADERS);
        b.append(TIME + 1, utf8(""), utf8(""), new Header[] {
            new RecordHeader("trace", utf8("abc")), new RecordHeader("none", (byte[]) null),
            new RecordHeader("", utf8("")), new RecordHeader("trace", utf8("again"))});
        return b;
    }

    // Eighty records of a thousand bytes: more than one block of lz4, and of snappy.
    static MemoryRecordsBuilder large(MemoryRecordsBuilder b) {
        for (int i = 0; i < 80; ++i) {
            byte[] value = new byte[1000];
            for (int j = 0; j < value.length; ++j) value[j] = (byte) ('a' + (i + j / 100) % 26);
            b.append(TIME + i, utf8("key-" + i), value, NO_HEADERS);
        }
        return b;
    }

    static void write(Path folder, String name, MemoryRecords records) throws Exception {
        ByteBuffer buffer = records.buffer().duplicate();
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        String hex = HexFormat.of().formatHex(bytes);
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < hex.length(); i += 64)
            lines.append(hex, i, Math.min(hex.length(), i + 64)).append('\n');
        Files.writeString(folder.resolve(name + ".hex"), lines);
    }

    static void make(Path folder) throws Exception {
        for (CompressionType type : CompressionType.values()) {
            Compression compression = Compression.of(type).build();
            write(folder, "mixed-" + type.name, mixed(builder(compression)).build());
            if (type != CompressionType.NONE)
                write(folder, "large-" + type.name, large(builder(compression)).build());
        }
        Compression none = Compression.NONE;
        TimestampType create = TimestampType.CREATE_TIME;
        write(folder, "idempotent", mixed(builder(none, create, 0, 4711, 3, 2147483645, false, -1)).build());
        write(folder, "transactional", mixed(builder(none, create, 0, 4711, 3, 8, true, -1)).build());
        write(folder, "in-log", mixed(builder(none, create, 5_000_000_000L, 4711, 3, 8, true, 12)).build());
        write(folder, "log-append-time",
            mixed(builder(none, TimestampType.LOG_APPEND_TIME, 7, -1, -1, -1, false, 2)).build());
        write(folder, "log-append-time-gzip",
            mixed(builder(Compression.gzip().build(), TimestampType.LOG_APPEND_TIME, 7, -1, -1, -1, false, 2)).build());

        MemoryRecordsBuilder gaps = builder(none, create, 100, -1, -1, -1, false, 4);
        gaps.appendWithOffset(103, TIME, utf8("a"), utf8("1"), NO_HEADERS);
        gaps.appendWithOffset(300, TIME + 2, utf8("b"), utf8("2"), NO_HEADERS);
        gaps.overrideLastOffset(301);
        write(folder, "gaps", gaps.build());

        MemoryRecordsBuilder timeless = builder(none);
        timeless.append(RecordBatch.NO_TIMESTAMP, utf8("k"), utf8("v"), NO_HEADERS);
        write(folder, "no-timestamp", timeless.build());

        for (ControlRecordType type : new ControlRecordType[] {ControlRecordType.ABORT, ControlRecordType.COMMIT})
            write(folder, "end-transaction-" + type.name().toLowerCase(),
                MemoryRecords.withEndTransactionMarker(42, TIME, 6, 4711, (short) 3,
                    new EndTransactionMarker(type, 9)));
        write(folder, "leader-change",
            MemoryRecords.withLeaderChangeMessage(13, TIME, 8, ByteBuffer.allocate(512),
                new LeaderChangeMessage().setLeaderId(2)
                    .setVoters(List.of(new LeaderChangeMessage.Voter().setVoterId(2),
                                       new LeaderChangeMessage.Voter().setVoterId(3)))));
    }

    static String text(ByteBuffer bytes) {
        return bytes == null ? "null" : "'" + StandardCharsets.UTF_8.decode(bytes) + "'";
    }

    static void read(Path file) throws Exception {
        byte[] bytes = HexFormat.of().parseHex(Files.readString(file).replaceAll("\\s", ""));
        System.out.println(file.getFileName());
        for (MutableRecordBatch batch : MemoryRecords.readableRecords(ByteBuffer.wrap(bytes)).batches()) {
            batch.ensureValid();
            System.out.println("  " + batch);
            for (Record record : batch) {
                StringBuilder line = new StringBuilder("    " + record.offset() + " " + record.timestamp()
                    + " " + record.sequence() + " " + text(record.key()) + " " + text(record.value()));
                for (Header header : record.headers())
                    line.append(" ").append(header.key()).append("=").append(
                        text(header.value() == null ? null : ByteBuffer.wrap(header.value())));
                System.out.println(line);
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("make")) {
            make(Path.of(arguments[1]));
        } else {
            for (int i = 1; i < arguments.length; ++i) read(Path.of(arguments[i]));
        }
    }
}
