import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.PublicKey;
import java.security.Signature;
import java.security.spec.X509EncodedKeySpec;
import java.time.Duration;
import java.util.Base64;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * A consumer of the record that trusts nobody's word: it computes every hash itself.
 *
 * <p>{@code verify EXPORT KEY} verifies an export with the public key in a PEM file. {@code follow SERVERS
 * SECONDS} prints the records on the topic, each checked against the one before it, until none came for so
 * long. Both end with status 1 at the first record that is not as it was recorded.
 */
public final class Record {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String TOPIC = "recovery.audit.v1";
  private static final String HASH = "{\"hash\":\"";
  private static final String RECORD = "\",\"record\":";
  /** Where the hashed part of a line begins. */
  private static final int BEGINS = HASH.length() + 64 + RECORD.length();

  /** The last record of each chain: its number and its hash. */
  private final Map<String, Long> numbers = new HashMap<>();
  private final Map<String, String> hashes = new HashMap<>();

  public static void main(String[] words) throws Exception {
    if (words.length == 3 && words[0].equals("verify")) {
      System.out.println(new Record().verify(Path.of(words[1]), Path.of(words[2])));
    } else if (words.length == 3 && words[0].equals("follow")) {
      new Record().follow(words[1], Duration.ofSeconds(Long.parseLong(words[2])));
    } else {
      System.err.println("verify EXPORT KEY | follow SERVERS SECONDS");
      System.exit(2);
    }
  }

  /** Takes the next record of its chain, hash and record as they are stored. */
  private JsonNode take(String line) throws IOException, GeneralSecurityException {
    String stated = line.substring(HASH.length(), HASH.length() + 64);
    String body = line.substring(BEGINS, line.length() - 1);
    JsonNode record = JSON.readTree(body);
    String chain = record.get("chain").asText();
    long number = record.get("number").asLong();
    String at = chain + " " + number;
    if (!line.equals(HASH + stated + RECORD + body + "}") || !sha256(body).equals(stated)) {
      throw new Wrong(at + ": not as it was recorded");
    }
    // The first record that is read may have others before it, which retention has deleted.
    Long before = numbers.get(chain);
    if (before != null && (number != before + 1 || !previous(record).equals(hashes.get(chain)))) {
      throw new Wrong(at + ": does not follow record " + before);
    }
    if (before == null && number == 1 && !previous(record).equals("0".repeat(64))) {
      throw new Wrong(at + ": the first record has one before it");
    }
    numbers.put(chain, number);
    hashes.put(chain, stated);
    return record;
  }

  private String verify(Path export, Path key) throws IOException, GeneralSecurityException {
    JsonNode heads = lastHeads(export.resolve("heads.jsonl"), key);
    Map<String, JsonNode> signed = new HashMap<>();
    heads.get("heads").forEach(head -> signed.put(head.get("chain").asText(), head));
    long records = 0;
    try (DirectoryStream<Path> files = Files.newDirectoryStream(export.resolve("chains"))) {
      for (Path file : files) {
        try (BufferedReader lines = Files.newBufferedReader(file)) {
          for (String line = lines.readLine(); line != null; line = lines.readLine(), records++) {
            JsonNode record = take(line);
            JsonNode head = signed.get(record.get("chain").asText());
            if (head == null || head.get("number").asLong() != record.get("number").asLong()) {
              continue;
            }
            if (!head.get("hash").asText().equals(hashes.get(head.get("chain").asText()))) {
              throw new Wrong(head + ": not the record that was signed");
            }
            signed.remove(head.get("chain").asText());
          }
        }
      }
    }
    if (!signed.isEmpty()) {
      throw new Wrong("records are missing before " + signed.values());
    }
    return records + " records, all as signed at " + heads.get("signed_at").asText();
  }

  /** The heads that were signed last, after their signature is checked. */
  private static JsonNode lastHeads(Path file, Path pem)
      throws IOException, GeneralSecurityException {
    String base64 = Files.readString(pem).replaceAll("-----[A-Z ]+-----|\\s", "");
    PublicKey key =
        KeyFactory.getInstance("Ed25519")
            .generatePublic(new X509EncodedKeySpec(Base64.getDecoder().decode(base64)));
    List<String> lines = Files.readAllLines(file);
    String line = lines.get(lines.size() - 1);
    String name = "\"statement\":";
    String statement = line.substring(line.indexOf(name) + name.length(), line.length() - 1);
    Signature signature = Signature.getInstance("Ed25519");
    signature.initVerify(key);
    signature.update(statement.getBytes(StandardCharsets.UTF_8));
    String given = JSON.readTree(line).get("signature").asText();
    if (!signature.verify(Base64.getUrlDecoder().decode(given))) {
      throw new Wrong("the last heads are not as they were signed");
    }
    return JSON.readTree(statement);
  }

  private void follow(String servers, Duration patience)
      throws IOException, GeneralSecurityException {
    Map<String, Object> settings = Map.of("bootstrap.servers", servers, "enable.auto.commit", false);
    try (KafkaConsumer<String, String> consumer =
        new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
      List<TopicPartition> places =
          consumer.partitionsFor(TOPIC).stream()
              .map(info -> new TopicPartition(TOPIC, info.partition()))
              .toList();
      consumer.assign(places);
      consumer.seekToBeginning(places);
      long last = System.nanoTime();
      while (System.nanoTime() - last < patience.toNanos()) {
        for (ConsumerRecord<String, String> event : consumer.poll(Duration.ofMillis(200))) {
          last = System.nanoTime();
          JsonNode data = JSON.readTree(event.value()).get("data").get("record");
          // After a failure a relay may send its last records again.
          if (data.get("number").asLong() <= numbers.getOrDefault(data.get("chain").asText(), 0L)) {
            continue;
          }
          JsonNode record = take(stored(event.value()));
          String what = record.path("what").asText("gap");
          System.out.println(record.get("chain").asText() + " " + record.get("number") + " " + what);
        }
      }
    }
  }

  /** Of an event what is hashed and its hash, byte for byte: nobody can write JSON anew and be sure. */
  private static String stored(String event) {
    int begins = event.indexOf("\"data\":{") + "\"data\":".length();
    return event.substring(begins, event.lastIndexOf(",\"recorded_at\":\"")) + "}";
  }

  private static String previous(JsonNode record) {
    return record.get("previous").asText();
  }

  private static String sha256(String text) throws GeneralSecurityException {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
  }

  /** Something is not as it was recorded or signed. */
  private static final class Wrong extends RuntimeException {
    Wrong(String text) {
      super(text);
    }
  }
}
