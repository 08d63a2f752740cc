-- The oldest outbox lines and the sequence of the first of them.
-- Sixteen lines at a time, because two thousand may be gigabytes; of the last some may be too much.
--
-- KEYS: outbox, sequence. ARGV: lines at most, bytes at most.
local first = tonumber(redis.call('GET', KEYS[2]) or '0') - redis.call('LLEN', KEYS[1]) + 1
local most, left, lines = tonumber(ARGV[1]), tonumber(ARGV[2]), {}
while #lines < most do
  local few = redis.call('LRANGE', KEYS[1], #lines, math.min(#lines + 16, most) - 1)
  if #few == 0 then return {first, lines} end
  for _, line in ipairs(few) do
    if #lines > 0 and #line > left then return {first, lines} end
    left = left - #line
    lines[#lines + 1] = line
  end
end
return {first, lines}
