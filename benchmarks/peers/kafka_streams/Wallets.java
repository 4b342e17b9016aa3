import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.processor.api.FixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * Kafka Streams: a processor with a store in RocksDB, exactly_once_v2, one thread.
 *
 * The task is that of task.py, which says what an event and an outcome have in them.  The store has a
 * changelog of its own beside the events, and a cache, as stores of the DSL have by default.
 */
public class Wallets {
    static final ObjectMapper JSON = new ObjectMapper();
    static final String STORE = "wallets";
    static final int POLL_RECORDS = 4_000;
    static final int COMMIT_MS = 500; // at its default of 100 transactions are small, and it takes twice as long

    /** Credits a wallet and passes the event on. */
    static class Credit implements FixedKeyProcessor<byte[], byte[], JsonNode> {
        static boolean hasBegun;
        FixedKeyProcessorContext<byte[], JsonNode> context;
        KeyValueStore<byte[], byte[]> wallets;

        @Override
        public void init(FixedKeyProcessorContext<byte[], JsonNode> context) {
            this.context = context;
            this.wallets = context.getStateStore(STORE);
        }

        @Override
        public void process(FixedKeyRecord<byte[], byte[]> record) {
            if (!hasBegun) {
                hasBegun = true;
                System.err.println("the first command is here");
            }
            JsonNode command = read(record.value());
            byte[] before = wallets.get(record.key());
            ObjectNode state = before == null ? JSON.createObjectNode() : (ObjectNode) read(before);
            String[] amount = command.get("data").get("amount").textValue().split("\\.");
            long added = Long.parseLong(amount[0]) * 100 + Long.parseLong(amount[1]);
            state.put("version", state.path("version").asLong() + 1);
            state.put("balance_minor", state.path("balance_minor").asLong() + added);
            wallets.put(record.key(), write(state));
            context.forward(record.withValue(event(command, state)));
        }
    }

    static JsonNode event(JsonNode command, JsonNode state) {
        JsonNode data = command.get("data");
        long minor = state.get("balance_minor").asLong();
        ObjectNode event = JSON.createObjectNode();
        event.put("event_id", command.get("event_id").textValue() + ":BalanceAdded");
        event.put("event_type", "BalanceAdded");
        event.set("aggregate_id", data.get("wallet_id"));
        event.set("event_version", state.get("version"));
        event.set("occurred_at", command.get("occurred_at"));
        event.set("correlation_id", data.get("payment_id"));
        event.set("causation_id", command.get("event_id"));
        event.set("data", data);
        ObjectNode wallet = event.putObject("wallet");
        wallet.set("version", state.get("version"));
        ObjectNode balance = wallet.putObject("balances").putObject(data.get("currency").textValue());
        long cents = minor % 100;
        balance.put("balance", minor / 100 + (cents < 10 ? ".0" : ".") + cents);
        return event;
    }

    static KeyValue<byte[], JsonNode> outcome(JsonNode event) {
        JsonNode data = event.get("data");
        ObjectNode outcome = JSON.createObjectNode();
        outcome.put("event_id", event.get("causation_id").textValue() + ":WalletCredited");
        outcome.put("event_type", "WalletCredited");
        outcome.set("aggregate_id", data.get("payment_id"));
        outcome.set("event_version", data.get("saga_version"));
        outcome.set("occurred_at", event.get("occurred_at"));
        outcome.set("correlation_id", data.get("payment_id"));
        outcome.set("causation_id", event.get("causation_id"));
        ObjectNode told = outcome.putObject("data");
        told.set("wallet_id", data.get("wallet_id"));
        told.set("amount", data.get("amount"));
        told.set("currency", data.get("currency"));
        told.set("wallet_version", event.get("event_version"));
        return KeyValue.pair(data.get("payment_id").textValue().getBytes(StandardCharsets.UTF_8), outcome);
    }

    static JsonNode read(byte[] value) {
        try {
            return JSON.readTree(value);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    static byte[] write(JsonNode value) {
        try {
            return JSON.writeValueAsBytes(value);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    static String told(String name) {
        return System.getenv("BENCH_TASK_" + name);
    }

    public static void main(String[] arguments) {
        Properties config = new Properties();
        config.put(StreamsConfig.APPLICATION_ID_CONFIG, told("GROUP"));
        config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, told("KAFKA"));
        config.put(StreamsConfig.STATE_DIR_CONFIG, told("FOLDER"));
        config.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        config.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        config.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, COMMIT_MS);
        config.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        config.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
        config.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
        config.put(StreamsConfig.consumerPrefix("max.poll.records"), POLL_RECORDS);
        config.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
        config.put(StreamsConfig.producerPrefix("compression.type"), "lz4");
        StreamsBuilder builder = new StreamsBuilder();
        builder.addStateStore(
                Stores.keyValueStoreBuilder(
                                Stores.persistentKeyValueStore(STORE), Serdes.ByteArray(), Serdes.ByteArray())
                        .withCachingEnabled());
        KStream<byte[], byte[]> commands = builder.stream(told("COMMANDS"));
        KStream<byte[], JsonNode> events = commands.processValues(Credit::new, STORE);
        events.mapValues(Wallets::write).to(told("EVENTS"));
        events.map((wallet, event) -> outcome(event)).mapValues(Wallets::write).to(told("OUTCOMES"));
        new KafkaStreams(builder.build(), config).start();
    }
}
