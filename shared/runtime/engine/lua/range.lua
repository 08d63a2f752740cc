-- A part of a sorted set with the documents that stand there, lowest score first; entries of one score
-- are in the order of their keys' bytes. Entries whose document was forgotten are left out and dropped.
--
-- KEYS: generation, the set, documents to read beside it. ARGV: expected generation, what documents' keys begin with, entries at
-- most, entries to look at at most, then score and key of the entry to begin behind, if there is one.
-- Returns {} for another generation, else {score and key to go on behind ('' = the end), the documents beside it, then
-- score, key and document of each entry}.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {} end
local set, prefix, most, looks = KEYS[2], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

-- Byte by byte, as a sorted set compares: Lua's own comparison follows the server's locale.
local function is_behind(one, other)
  for i = 1, math.min(#one, #other) do
    local a, b = string.byte(one, i), string.byte(other, i)
    if a ~= b then return a > b end
  end
  return #one > #other
end

-- The place of the first entry behind a cursor, also of one whose entry has gone.
local function place_behind(score, key)
  local low = redis.call('ZCOUNT', set, '-inf', '(' .. score)
  local high = redis.call('ZCOUNT', set, '-inf', score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if is_behind(redis.call('ZRANGE', set, middle, middle)[1], key) then
      high = middle
    else
      low = middle + 1
    end
  end
  return low
end

local place = ARGV[5] and place_behind(ARGV[5], ARGV[6]) or 0
local stop, found, gone = place + looks, 0, {}
local beside = #KEYS > 2 and redis.call('MGET', unpack(KEYS, 3)) or {}
local answer = {'', '', beside}
local last_score, last_key
while place < stop do
  local some = redis.call('ZRANGE', set, place, math.min(place + most, stop - 1), 'WITHSCORES')
  if #some == 0 then break end
  local keys = {}
  for i = 1, #some, 2 do keys[#keys + 1] = prefix .. some[i] end
  local documents = redis.call('MGET', unpack(keys))
  for i = 1, #keys do
    local key, score = some[2 * i - 1], some[2 * i]
    if not documents[i] then
      gone[#gone + 1] = key
    elseif found == most then
      answer[1], answer[2] = last_score, last_key
      place = stop
      break
    else
      found = found + 1
      answer[#answer + 1] = score
      answer[#answer + 1] = key
      answer[#answer + 1] = documents[i]
    end
    last_score, last_key = score, key
  end
  if place < stop then
    place = place + #keys
    if place >= stop then answer[1], answer[2] = last_score, last_key end
  end
end
-- Where nothing can be written now, they are dropped another time.
if #gone > 0 then redis.pcall('ZREM', set, unpack(gone)) end
return answer
