#!lua
-- Writes nothing, and is refused like a commit where the server is full or takes no writes: with this
-- first line, and no flag, Redis looks before it runs a script.
--
-- KEYS: outbox. ARGV: as many bytes as a commit that was refused.
return redis.call('LLEN', KEYS[1])
