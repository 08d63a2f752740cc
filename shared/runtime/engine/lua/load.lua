-- Writes a portion of a state that is made again.
--
-- KEYS: who makes it, the lease they do it by, timers, d documents, a accounts, e sorted
-- sets. ARGV: holder, ttl of balances, d, a, e, sets, d times body and ttl ('0' = none), a amounts, e times
-- key of the document, score ('' = leaves) and ttl, sets times due and member, members to clear. Values
-- of documents come with their version.
if redis.call('GET', KEYS[1]) ~= ARGV[1] or redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
local d, a, e, sets = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local k, n, chunk = 3, 6, 2000
for i = 1, d do
  local key, value, ttl = KEYS[k + i], ARGV[n + 2 * i - 1], ARGV[n + 2 * i]
  if ttl == '0' then redis.call('SET', key, value) else redis.call('SET', key, value, 'EX', ttl) end
end
k, n = k + d, n + 2 * d
for i = 1, a do
  redis.call('INCRBY', KEYS[k + i], ARGV[n + i])
  redis.call('EXPIRE', KEYS[k + i], ARGV[2])
end
k, n = k + a, n + a
for i = 1, e do
  local set, key, score, ttl = KEYS[k + i], ARGV[n + 3 * i - 2], ARGV[n + 3 * i - 1], ARGV[n + 3 * i]
  if score == '' then
    redis.call('ZREM', set, key)
  else
    redis.call('ZADD', set, score, key)
    if ttl == '0' then redis.call('PERSIST', set) else redis.call('EXPIRE', set, ttl) end
  end
end
n = n + 3 * e
for start = 1, 2 * sets, 2 * chunk do
  redis.call('ZADD', KEYS[3], unpack(ARGV, n + start, n + math.min(start + 2 * chunk - 1, 2 * sets)))
end
n = n + 2 * sets
for start = n + 1, #ARGV, chunk do
  redis.call('ZREM', KEYS[3], unpack(ARGV, start, math.min(start + chunk - 1, #ARGV)))
end
return 1
