-- Begins a state. Of two processes that find an empty store one begins it, and the other's sequence
-- sets nothing back.
--
-- KEYS: marker, sequence, who makes the state again, schemas. ARGV: marker, sequence, schemas ('' = all at 1).
if redis.call('EXISTS', KEYS[1], KEYS[3]) == 0 then
  redis.call('SET', KEYS[2], ARGV[2])
  redis.call('DEL', KEYS[4])
  if ARGV[3] ~= '' then redis.call('SET', KEYS[4], ARGV[3]) end
  redis.call('SET', KEYS[1], ARGV[1])
end
