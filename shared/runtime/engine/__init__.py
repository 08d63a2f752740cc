"""How an input is settled: transaction, store, relay, timers."""
