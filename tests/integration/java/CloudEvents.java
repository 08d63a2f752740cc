import io.cloudevents.CloudEvent;
import io.cloudevents.core.message.Encoding;
import io.cloudevents.jackson.JsonFormat;
import io.cloudevents.kafka.CloudEventDeserializer;
import io.cloudevents.kafka.CloudEventSerializer;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * A program of another system, made of the official SDK and nothing of ours.
 *
 * <p>{@code read SERVERS TOPIC...} prints every event of the topics, one a line: topic, partition and
 * offset, then the event as the SDK writes it. {@code publish SERVERS TOPIC STRUCTURED|BINARY} sends
 * the events it reads from standard input, one a line.
 */
public final class CloudEvents {
  private static final JsonFormat FORMAT = new JsonFormat();

  public static void main(String[] words) throws Exception {
    if (words[0].equals("read")) {
      read(words[1], List.of(words).subList(2, words.length));
    } else {
      publish(words[1], words[2], Encoding.valueOf(words[3]));
    }
  }

  private static void read(String servers, List<String> topics) {
    Map<String, Object> settings = Map.of("bootstrap.servers", servers, "enable.auto.commit", false);
    PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    try (KafkaConsumer<String, CloudEvent> consumer =
        new KafkaConsumer<>(settings, new StringDeserializer(), new CloudEventDeserializer())) {
      List<TopicPartition> places = new ArrayList<>();
      for (String topic : topics) {
        for (PartitionInfo info : consumer.partitionsFor(topic)) {
          places.add(new TopicPartition(topic, info.partition()));
        }
      }
      consumer.assign(places);
      consumer.seekToBeginning(places);
      Map<TopicPartition, Long> ends = consumer.endOffsets(places);
      while (places.stream().anyMatch(place -> consumer.position(place) < ends.get(place))) {
        for (ConsumerRecord<String, CloudEvent> record : consumer.poll(Duration.ofMillis(200))) {
          String event = new String(FORMAT.serialize(record.value()), StandardCharsets.UTF_8);
          out.printf("%s %d %d %s%n", record.topic(), record.partition(), record.offset(), event);
        }
      }
    }
    out.flush();
  }

  private static void publish(String servers, String topic, Encoding encoding) throws Exception {
    CloudEventSerializer serializer = new CloudEventSerializer();
    serializer.configure(
        Map.of(
            CloudEventSerializer.ENCODING_CONFIG, encoding,
            CloudEventSerializer.EVENT_FORMAT_CONFIG, JsonFormat.CONTENT_TYPE),
        false);
    BufferedReader in =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    try (KafkaProducer<String, CloudEvent> producer =
        new KafkaProducer<>(
            Map.of("bootstrap.servers", servers), new StringSerializer(), serializer)) {
      for (String line = in.readLine(); line != null; line = in.readLine()) {
        CloudEvent event = FORMAT.deserialize(line.getBytes(StandardCharsets.UTF_8));
        producer.send(new ProducerRecord<>(topic, event)).get();
      }
    }
  }

  private CloudEvents() {}
}
