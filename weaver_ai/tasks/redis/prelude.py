"""What the scripts of `scripts` have in common, and the keys that they work on.

The keys, all below one prefix. Of one task: `task:<id>` is the record (a hash whose `request` is JSON), `events:<id>`
its events (a stream whose ids are `1-0`, `2-0`, ...), `steps:<id>` the results of its finished steps. A task stands in
one of three places: `line:<priority>:<capability>` when it waits for a worker (a sorted set, by its number in the order
of acceptance, which it keeps when it is put back), `scheduled` when it waits for its time (by that time), `running`
(by the end of its lease). `heads:<priority>` has the capabilities of which tasks wait, by their first one's number,
`waiting` how many wait of each priority, `active:<capability>` the ids that run, `deadlines` unfinished tasks by their
deadline, `failed` the dead letters by time, `key:<key>` an idempotency key, `workers` the workers' heartbeats (a hash),
`groups` the groups of workers by the time of their last heartbeat, and `serves:<capability>` those that serve it;
`serves:*` has those that serve every one. `given:<worker>:<call>` has the attempt and the id that a worker's call was
given, for as long as a lease: when its answer was lost, the same call is given the same task. Besides, the streams of
docket, one for each group: `<prefix>-turns:stream`, `<prefix>-turns-<group>:stream`. Times are Redis' own, in
microseconds, so that the clocks of the machines don't matter. Only commands of Redis 6.2 are used.

An attempt is fenced by its number: what it writes after its task was given to another is dropped.
"""

from __future__ import annotations

from typing import Final

__all__ = ["FORGET_SECONDS", "PRELUDE", "TURN"]

FORGET_SECONDS: Final = 60
"""How long a worker that was silent, and its group, stay in sight."""

_FEW: Final = 32
_MANY: Final = 10_000

TURN: Final = "weaver_turn"
"""What docket is to call for a turn."""

PRELUDE: Final = (
    """
local prefix = ARGV[1]
local max_events = ARGV[2]
local function key(kind, id) return prefix .. ':' .. kind .. ':' .. id end
local time = redis.call('TIME')
local function us() return time[1] * 1000000 + time[2] end
local function whole(number) return string.format('%.0f', number) end
local now = whole(us())
local function tell(id, kind, data)
  local number = redis.call('HINCRBY', key('task', id), 'events', 1)
  local events = key('events', id)
  redis.call('XADD', events, 'MAXLEN', max_events, number .. '-0', 'type', kind, 'time', now, 'data', data)
  -- Redis takes 4 KiB for a stream's first entries; read back, the stream takes what they need. An ACL may forbid it.
  if number == 1 then redis.pcall('RESTORE', events, 0, redis.call('DUMP', events), 'REPLACE') end
  redis.call('PUBLISH', key('news', id), number)
end
-- Events of an attempt: ARGV[at] is the number of the first, then come how many there are, and type and data of each.
-- Those that are there already, for an answer got lost, aren't written again.
local function tell_all(id, at)
  local number, many = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  if many == 0 then return end
  local had = tonumber(redis.call('HGET', key('task', id), 'events'))
  local last = number + many - 1
  if last <= had then return end
  for each = at + 2, at + 2 * many, 2 do
    if number > had then
      redis.call('XADD', key('events', id), 'MAXLEN', max_events, whole(number) .. '-0', 'type', ARGV[each],
        'time', now, 'data', ARGV[each + 1])
    end
    number = number + 1
  end
  redis.call('HSET', key('task', id), 'events', whole(last))
  redis.call('PUBLISH', key('news', id), whole(last))
end
local function waiting()
  local sum = redis.call('ZCARD', prefix .. ':scheduled')
  for _, number in ipairs(redis.call('HVALS', prefix .. ':waiting')) do sum = sum + number end
  return sum
end
local function groups(capability)
  local since = whole(us() - FORGET * 1000000)
  local found = redis.call('ZRANGEBYSCORE', key('serves', capability), since, '+inf')
  for _, group in ipairs(redis.call('ZRANGEBYSCORE', key('serves', '*'), since, '+inf')) do
    found[#found + 1] = group
  end
  return found
end
-- Whom to tell of a task that waits: all who serve it as long as few wait. With many, each group gets its share, for a
-- turn that finds nothing costs as much as one that finds a task; who is out of turns goes on without, see `go_on`.
local function takers(id, capability)
  local found = groups(capability)
  if #found < 2 or waiting() <= FEW then return found end
  return {found[redis.call('HGET', key('task', id), 'place') % #found + 1]}
end
-- The docket that delivers a group's turns, and one more turn for each of some groups. It has the fields of docket's
-- messages; what runs is decided when it is taken, so it has no arguments (an empty tuple and dictionary, pickled).
local function docket(group) return prefix .. '-turns' .. (group == '' and '' or '-' .. group) end
-- A group that is busy for long while others take its tasks leaves its turns: there are never more than MANY of them.
local function summon(found, ticket)
  for _, group in ipairs(found) do
    local stream = docket(group) .. ':stream'
    if redis.call('XLEN', stream) < MANY then
      redis.call('XADD', stream, '*', 'key', ticket, 'when', '1970-01-01T00:00:00+00:00', 'function', 'TURN', 'args',
        ').', 'kwargs', '}.', 'attempt', '1', 'generation', '0')
    end
  end
end
local function line(priority, capability) return key('line', priority .. ':' .. capability) end
local function changed(priority, capability, by)
  redis.call('HINCRBY', prefix .. ':waiting', priority, by)
  local head = redis.call('ZRANGE', line(priority, capability), 0, 0, 'WITHSCORES')
  if head[1] then
    redis.call('ZADD', key('heads', priority), head[2], capability)
  else
    redis.call('ZREM', key('heads', priority), capability)
  end
end
local function enter(id, anew)
  local held = redis.call('HMGET', key('task', id), 'priority', 'capability', 'place')
  local place = held[3]
  if anew or not place then place = redis.call('INCR', prefix .. ':places') end
  redis.call('HSET', key('task', id), 'state', 'queued', 'place', place)
  redis.call('ZADD', line(held[1], held[2]), place, id)
  changed(held[1], held[2], 1)
end
local function withdraw(id, priority, capability)
  if redis.call('ZREM', line(priority, capability), id) == 1 then changed(priority, capability, -1) end
end
local function put_off(id, due)
  redis.call('HSET', key('task', id), 'state', 'scheduled', 'due', whole(due))
  redis.call('ZADD', prefix .. ':scheduled', whole(due), id)
end
local function promote(most)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', prefix .. ':scheduled', '-inf', now, 'LIMIT', 0, most)) do
    redis.call('ZREM', prefix .. ':scheduled', id)
    local held = redis.call('HMGET', key('task', id), 'state', 'priority')
    if held[1] == 'scheduled' then
      redis.call('HDEL', key('task', id), 'due')
      enter(id, true)
      tell(id, 'task.queued', '{"priority":"' .. held[2] .. '"}')
    end
  end
end
local function free(id)
  redis.call('ZREM', prefix .. ':running', id)
  redis.call('SREM', key('active', redis.call('HGET', key('task', id), 'capability') or ''), id)
end
local function expire(id, ttl)
  for _, kind in ipairs({'task', 'events', 'steps'}) do redis.call('PEXPIRE', key(kind, id), ttl) end
end
local function close(id, state, outcome, told, ttls)
  local held = redis.call('HMGET', key('task', id), 'state', 'priority', 'capability', 'keyed')
  if held[1] == 'queued' then
    withdraw(id, held[2], held[3])
  elseif held[1] == 'scheduled' then
    redis.call('ZREM', prefix .. ':scheduled', id)
  else
    free(id)
  end
  redis.call('ZREM', prefix .. ':deadlines', id)
  redis.call('HDEL', key('task', id), 'due')
  redis.call('HSET', key('task', id), 'state', state, 'finished', now, 'outcome', outcome)
  tell(id, 'task.' .. state, told)
  redis.call('PUBLISH', key('ended', id), state)
  expire(id, held[4] == '1' and ttls[2] or ttls[1])
  if state == 'failed' then
    redis.call('ZADD', prefix .. ':failed', now, id)
    redis.call('ZREMRANGEBYRANK', prefix .. ':failed', 0, -10001)
  end
end
local function overdue(id)
  local deadline = redis.call('HGET', key('task', id), 'deadline')
  return deadline and tonumber(deadline) <= us()
end
local function put_back(id, why)
  free(id)
  enter(id, false)
  tell(id, 'task.requeued', why)
  summon(takers(id, redis.call('HGET', key('task', id), 'capability')), id)
end
local function holds(id, attempt)
  local held = redis.call('HMGET', key('task', id), 'state', 'attempts')
  return held[1] == 'running' and held[2] == attempt
end
-- How many more tasks of a capability may run here. ARGV[at] says whether every capability is served; then how many
-- are named, and each with its limit, '' for none.
local function room(at)
  local all, number = ARGV[at] == '1', tonumber(ARGV[at + 1])
  local limits, named = {}, {}
  for each = at + 2, at + 1 + 2 * number, 2 do
    named[ARGV[each]] = true
    limits[ARGV[each]] = tonumber(ARGV[each + 1])
  end
  return function(capability)
    if not all and not named[capability] then return 0 end
    if not limits[capability] then return math.huge end
    return math.max(0, limits[capability] - redis.call('SCARD', key('active', capability)))
  end
end
-- The task that the worker's same call was given before, if it is still the worker's; ARGV[at] as in `take`.
local function given(at, call)
  local found = redis.call('GET', key('given', ARGV[at] .. ':' .. call))
  if not found then return false end
  local attempt, id = string.match(found, '^(%d+) (.+)$')
  if not holds(id, attempt) then return false end
  redis.call('ZADD', prefix .. ':running', whole(us() / 1000 + tonumber(ARGV[at + 2])), id)
  return {redis.call('HGETALL', key('task', id)), now}
end
-- The most urgent task that waits and may run here, if there is one. From ARGV[at] on: the worker, its group, how long
-- it may be silent in ms, outcome and told of a task whose deadline is over, ttl in ms, ttl of one with a key in ms,
-- who reads the group's turns, and what is served.
local function take(at, call)
  local worker, group, lease, room = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), room(at + 8)
  promote(100)
  for _, priority in ipairs({'high', 'normal', 'low'}) do
    for _, capability in ipairs(redis.call('ZRANGE', key('heads', priority), 0, -1)) do
      if room(capability) > 0 then
        local id = redis.call('ZRANGE', line(priority, capability), 0, 0)[1]
        while id do
          local held = redis.call('HMGET', key('task', id), 'state', 'deadline', 'attempts')
          if held[1] ~= 'queued' then
            withdraw(id, priority, capability)
          elseif held[2] and tonumber(held[2]) <= us() then
            close(id, 'failed', ARGV[at + 3], ARGV[at + 4], {ARGV[at + 5], ARGV[at + 6]})
          else
            withdraw(id, priority, capability)
            local attempt = whole(held[3] + 1)
            redis.call('HSET', key('task', id), 'state', 'running', 'started', now, 'worker', worker, 'group', group,
              'attempts', attempt)
            redis.call('ZADD', prefix .. ':running', whole(us() / 1000 + lease), id)
            redis.call('SADD', key('active', capability), id)
            redis.call('SET', key('given', worker .. ':' .. call), attempt .. ' ' .. id, 'PX', whole(lease))
            tell(id, 'task.started', '{"attempt":' .. attempt .. '}')
            return {redis.call('HGETALL', key('task', id)), now}
          end
          id = redis.call('ZRANGE', line(priority, capability), 0, 0)[1]
        end
      end
    end
  end
  return false
end
-- A turn that was taken, and whether it was still there; docket keeps a record of one that waited for its time.
local function taken(stream, readers, message, runs)
  redis.call('XACK', stream, readers, message)
  redis.call('DEL', runs)
  return redis.call('XDEL', stream, message) == 1
end
-- What the worker of a task that has left its place does next; ARGV[at] as in `take`. It needs no turn, and uses one up
-- where there is one, so that none is left when nothing waits.
local function go_on(at, call)
  local name, readers = docket(ARGV[at + 1]), ARGV[at + 7]
  local stream = name .. ':stream'
  local found = redis.pcall('XREADGROUP', 'GROUP', readers, ARGV[at], 'COUNT', 1, 'STREAMS', stream, '>')
  if found and not found.err then
    local entry = found[1][2][1]
    taken(stream, readers, entry[1], name .. ':runs:' .. entry[2][2])
  end
  return take(at, call)
end
-- Where ARGV goes on after what `take` takes.
local function after(at) return at + 10 + 2 * tonumber(ARGV[at + 9]) end
-- Let others know of a place that came free of a capability that has a limit; ARGV[at] says what is served.
local function share(id, capability, at)
  if room(at)(capability) == 0 then return end
  for _, priority in ipairs({'high', 'normal', 'low'}) do
    if redis.call('ZSCORE', key('heads', priority), capability) then return summon(groups(capability), id) end
  end
end
""".replace("FORGET", str(FORGET_SECONDS))
    .replace("FEW", str(_FEW))
    .replace("MANY", str(_MANY))
    .replace("TURN", TURN)
)
