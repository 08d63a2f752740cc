"""A Kafka, a Redis and a mailbox on this machine, for the demo, tests and benches."""
