// Writes golden bytes with Kafka's own classes. For each message and version: one row with defaults and two with
// values drawn from a fixed seed, each a line of JSON with the bytes and the values as Kafka itself prints them.
// README.md says how to run it.
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.*;
import java.io.InputStream;
import java.io.PrintWriter;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.Random;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.*;
import org.apache.kafka.common.protocol.*;

public class MakeGolden {
    static final ObjectMapper mapper = new ObjectMapper().enable(JsonParser.Feature.ALLOW_COMMENTS);
    static final String[] apis = java.util.Arrays.stream(ApiKeys.values())
        .filter(key -> key.messageType.lowestSupportedVersion() <= key.messageType.highestSupportedVersion(false))
        .map(key -> key.name).toArray(String[]::new);
    static final String[] data = {"LeaderChangeMessage", "SnapshotHeaderRecord", "SnapshotFooterRecord",
        "KRaftVersionRecord", "VotersRecord"};
    static final String[] groups = {"OffsetCommitKey", "OffsetCommitValue", "GroupMetadataKey", "GroupMetadataValue"};
    static final String[] transactions = {"TransactionLogKey", "TransactionLogValue"};
    static final String[] records = {"RegisterBroker", "UnregisterBroker", "Topic", "Partition", "Config",
        "PartitionChange", "FenceBroker", "UnfenceBroker", "RemoveTopic", "FeatureLevel", "ProducerIds",
        "BrokerRegistrationChange", "NoOp", "ClearElr"};
    static final int rows = 3;
    static final java.util.Map<String, JsonNode> shared = new java.util.HashMap<>();  // structs that a message names

    public static void main(String[] arguments) throws Exception {
        Path output = Path.of(arguments[0]);
        if (arguments.length == 4) {  // one message, versions low to high, of an older Kafka
            write(output, arguments[1], Short.parseShort(arguments[2]), Short.parseShort(arguments[3]));
            return;
        }
        for (String api : apis)
            for (String kind : new String[] {"Request", "Response"}) write(output, api + kind, -1, -1);
        for (String record : records) write(output, record + "Record", -1, -1);
        for (String name : data) write(output, name, -1, -1);
        for (String name : groups) write(output, name, -1, -1);
        for (String name : transactions) write(output, name, -1, -1);
        writeTables(output);
        writeQuorumStates(output);
    }

    static void write(Path output, String name, int low, int high) throws Exception {
        boolean group = java.util.Arrays.asList(groups).contains(name);  // of __consumer_offsets
        boolean transaction = java.util.Arrays.asList(transactions).contains(name);  // of __transaction_state
        boolean value = group || transaction || java.util.Arrays.asList(data).contains(name);  // of a control record
        boolean record = !value && name.endsWith("Record");
        String place = record ? "common/metadata/" : "common/message/";
        JsonNode spec;
        try (InputStream in = MakeGolden.class.getClassLoader().getResourceAsStream(place + name + ".json")) {
            spec = mapper.readTree(in);
        }
        shared.clear();
        if (spec.has("commonStructs"))
            for (JsonNode one : spec.get("commonStructs")) shared.put(one.get("name").asText(), one.get("fields"));
        int[] valid = range(spec.get("validVersions").asText(), 0, 1000);
        if (low < 0) { low = valid[0]; high = valid[1]; }
        String classes = group ? "coordinator.group.generated."
            : transaction ? "coordinator.transaction.generated." : place.replace('/', '.');
        String type = "org.apache.kafka." + classes + name + (record || value ? "" : "Data");
        var converter = Class.forName(type + "JsonConverter");
        Files.createDirectories(output);
        try (PrintWriter out = new PrintWriter(Files.newBufferedWriter(output.resolve(name + ".jsonl")))) {
            for (int version = low; version <= high; ++version) {
                int[] flexible = range(spec.get("flexibleVersions").asText(), 0, 1000);
                for (int row = 0; row < rows; ++row) {
                    Random random = new Random((name + version + row).hashCode());
                    JsonNode values = struct(spec.get("fields"), version, row, random);
                    Message message = (Message) converter.getMethod("read", JsonNode.class, short.class)
                        .invoke(null, values, (short) version);
                    Object printed = converter.getMethod("write", Class.forName(type), short.class, boolean.class)
                        .invoke(null, message, (short) version, true);
                    ObjectNode line = mapper.createObjectNode();
                    line.put("version", version);
                    if (!record && !value) line.put("header", header(spec, (short) version));
                    line.put("bytes", record ? frame((ApiMessage) message, (short) version)
                        : body(message, (short) version));
                    line.set("values", withRecords((JsonNode) printed, values));
                    if (row == 1) putNewest(line, converter, message, values, (short) valid[1]);
                    out.println(mapper.writeValueAsString(line));
                }
            }
        }
    }

    /** The message as the newest version prints it: what its own version lacks is at its default. */
    static void putNewest(ObjectNode line, Class<?> converter, Message message, JsonNode values, short newest)
        throws Exception {
        try {
            Object printed = converter.getMethod("write", message.getClass(), short.class, boolean.class)
                .invoke(null, message, newest, true);
            line.set("newest", withRecords((JsonNode) printed, values));
        } catch (java.lang.reflect.InvocationTargetException unsupported) {
            // It has a field that the newest version lacks.
        }
    }

    /** Kafka prints records as empty: puts back what they were. */
    static JsonNode withRecords(JsonNode printed, JsonNode given) {
        if (given.isBinary()) return given;
        if (printed.isObject())
            for (var name : (Iterable<String>) given::fieldNames)
                if (printed.has(name))
                    ((ObjectNode) printed).set(name, withRecords(printed.get(name), given.get(name)));
        if (printed.isArray())
            for (int i = 0; i < printed.size(); ++i)
                ((ArrayNode) printed).set(i, withRecords(printed.get(i), given.get(i)));
        return printed;
    }

    static String body(Message message, short version) {
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer buffer = ByteBuffer.allocate(message.size(cache, version));
        message.write(new ByteBufferAccessor(buffer), cache, version);
        buffer.flip();
        return hex(buffer);
    }

    static String hex(ByteBuffer buffer) {
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        return HexFormat.of().formatHex(bytes);
    }

    /** A metadata record as it lies in the log: frame version, key, version, body. */
    static String frame(ApiMessage message, short version) throws Exception {
        var type = Class.forName("org.apache.kafka.server.common.ApiMessageAndVersion");
        Object both = type.getConstructor(ApiMessage.class, short.class).newInstance(message, version);
        var serde = Class.forName("org.apache.kafka.metadata.MetadataRecordSerde");
        Object instance = serde.getField("INSTANCE").get(null);
        ObjectSerializationCache cache = new ObjectSerializationCache();
        int size = (int) find(serde, "recordSize").invoke(instance, both, cache);
        ByteBuffer buffer = ByteBuffer.allocate(size);
        find(serde, "write").invoke(instance, both, cache, new ByteBufferAccessor(buffer));
        buffer.flip();
        return hex(buffer);
    }

    static java.lang.reflect.Method find(Class<?> type, String name) {
        for (var method : type.getMethods())
            if (method.getName().equals(name) && !method.isBridge()
                && method.getParameterTypes()[0].getSimpleName().equals("ApiMessageAndVersion")) return method;
        for (var method : type.getMethods())
            if (method.getName().equals(name)) return method;
        throw new IllegalStateException(name);
    }

    /** The header that a client with id "golden" puts before the request, or a broker before the answer. */
    static String header(JsonNode spec, short version) {
        ApiKeys key = ApiKeys.forId(spec.get("apiKey").asInt());
        if (spec.get("type").asText().equals("request")) {
            short headerVersion = key.requestHeaderVersion(version);
            RequestHeaderData header = new RequestHeaderData().setRequestApiKey(key.id)
                .setRequestApiVersion(version).setCorrelationId(0x01020304).setClientId("golden");
            return body(header, headerVersion);
        }
        return body(new ResponseHeaderData().setCorrelationId(0x01020304), key.responseHeaderVersion(version));
    }

    static ObjectNode struct(JsonNode fields, int version, int row, Random random) {
        ObjectNode node = mapper.createObjectNode();
        for (JsonNode field : fields) {
            String name = field.get("name").asText();
            name = Character.toLowerCase(name.charAt(0)) + name.substring(1);
            int[] in = range(field.get(field.has("versions") ? "versions" : "taggedVersions").asText(), 0, 1000);
            if (version < in[0] || version > in[1]) continue;
            if (field.has("taggedVersions") && (row == 0 || random.nextInt(4) == 0)) continue;
            boolean nullable = false;
            if (field.has("nullableVersions")) {
                int[] when = range(field.get("nullableVersions").asText(), 0, 1000);
                nullable = version >= when[0] && version <= when[1];
            }
            node.set(name, value(field, field.get("type").asText(), nullable, version, row, random));
        }
        return node;
    }

    static JsonNode value(JsonNode field, String type, boolean nullable, int version, int row, Random random) {
        if (nullable && (row == 0 || random.nextInt(4) == 0)) return NullNode.instance;
        if (type.startsWith("[]")) {
            ArrayNode array = mapper.createArrayNode();
            int count = row == 0 ? 0 : 1 + random.nextInt(2);
            for (int i = 0; i < count; ++i)
                array.add(value(field, type.substring(2), false, version, row, random));
            return array;
        }
        boolean zero = row == 0;
        switch (type) {
            case "bool": return BooleanNode.valueOf(!zero && random.nextBoolean());
            case "int8": return new ShortNode((short) (zero ? 0 : (byte) random.nextInt()));
            case "int16": return new ShortNode((short) (zero ? 0 : random.nextInt(200) - 1));
            case "uint16": return new IntNode(zero ? 0 : random.nextInt(65536));
            case "int32": return new IntNode(zero ? 0 : random.nextInt());
            case "int64": return new LongNode(zero ? 0 : random.nextLong());
            case "uuid": return new TextNode((zero ? Uuid.ZERO_UUID
                : new Uuid(random.nextLong(), random.nextLong())).toString());
            case "string": return new TextNode(zero ? "" : text(random));
            case "float64": return new DoubleNode(zero ? 0 : random.nextDouble() * 1000);
            case "bytes": {
                byte[] bytes = new byte[zero ? 0 : random.nextInt(200)];
                random.nextBytes(bytes);
                return new BinaryNode(bytes);
            }
            case "records": {
                byte[] bytes = new byte[random.nextInt(90)];
                random.nextBytes(bytes);
                return new BinaryNode(bytes);
            }
            default: return struct(field.has("fields") ? field.get("fields") : shared.get(type), version, row, random);
        }
    }

    static String text(Random random) {
        StringBuilder text = new StringBuilder("é");
        int size = random.nextInt(10) == 0 ? 130 : random.nextInt(12);
        for (int i = 0; i < size; ++i) text.append((char) ('a' + random.nextInt(26)));
        return text.toString();
    }

    static int[] range(String text, int low, int high) {
        if (text.equals("none")) return new int[] {high, high};
        if (text.endsWith("+")) return new int[] {Integer.parseInt(text.substring(0, text.length() - 1)), high};
        String[] parts = text.split("-");
        return new int[] {Integer.parseInt(parts[0]), Integer.parseInt(parts[parts.length - 1])};
    }

    /** The quorum-state file in both versions, one line each as Kafka's store writes it, after what it says. */
    static void writeQuorumStates(Path output) throws Exception {
        Path file = Files.createTempFile("quorum", "state");
        var store = new org.apache.kafka.raft.FileQuorumStateStore(file.toFile());
        var directory = new Uuid(0x0123456789abcdefL, 0x1122334455667788L);
        var voters = new java.util.TreeSet<>(java.util.List.of(1, 2, 3));
        var voted = org.apache.kafka.raft.ReplicaKey.of(2, directory);
        var states = java.util.List.of(
            org.apache.kafka.raft.ElectionState.withUnknownLeader(0, voters),
            org.apache.kafka.raft.ElectionState.withVotedCandidate(5, voted, voters),
            org.apache.kafka.raft.ElectionState.withElectedLeader(6, 3, java.util.Optional.empty(), voters),
            org.apache.kafka.raft.ElectionState.withElectedLeader(7, 3, java.util.Optional.of(voted), voters));
        try (PrintWriter out = new PrintWriter(Files.newBufferedWriter(output.resolve("quorum-state.txt")))) {
            for (var version : org.apache.kafka.server.common.KRaftVersion.values())
                for (var state : states) {
                    store.writeElectionState(state, version);
                    out.println(state.epoch() + " " + (state.hasLeader() ? state.leaderId() : -1) + " "
                        + (state.hasVoted() ? state.votedKey().id() + " " + directory : "-1 -"));
                    out.println(Files.readString(file));
                }
        }
    }

    /** Error codes, and what brokers and controllers advertise. */
    static void writeTables(Path output) throws Exception {
        try (PrintWriter out = new PrintWriter(Files.newBufferedWriter(output.resolve("errors.csv")))) {
            out.println("code,name,retriable,refreshes_metadata");
            for (Errors error : Errors.values())
                out.println(error.code() + "," + error.name() + ","
                    + (error.exception() instanceof org.apache.kafka.common.errors.RetriableException ? 1 : 0) + ","
                    + (error.exception() instanceof org.apache.kafka.common.errors.InvalidMetadataException ? 1 : 0));
        }
        try (PrintWriter out = new PrintWriter(Files.newBufferedWriter(output.resolve("apis.csv")))) {
            out.println("listener,key,min,max");
            for (var listener : new ApiMessageType.ListenerType[] {
                ApiMessageType.ListenerType.BROKER, ApiMessageType.ListenerType.CONTROLLER}) {
                for (ApiKeys key : ApiKeys.apisForListener(listener)) {
                    var row = key.toApiVersionForApiResponse(false, listener);
                    if (row.isPresent())
                        out.println(listener.name().toLowerCase() + "," + row.get().apiKey() + ","
                            + row.get().minVersion() + "," + row.get().maxVersion());
                }
            }
        }
    }
}
