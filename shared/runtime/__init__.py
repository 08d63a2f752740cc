"""The plumbing, written once: store, settle, relay, timers, Kafka, HTTP, auth, seal, observe."""
