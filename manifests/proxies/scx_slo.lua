-- Follows the node's shed level for this pod and decides with it. Whatever goes wrong, requests are served: a level that
-- is not renewed for TTL_MS halves every second, and then is nothing.

math.randomseed(os.time())

local ENDPOINT = os.getenv("SCX_SLO_ENDPOINT") or "http://scx-slo-signal.scx-slo-system.svc:7080"
local WAIT_MS = 400 -- how long the signal may wait for a change
local TIMEOUT_MS = WAIT_MS + 500 -- between two packets of an answer
local GIVE_UP_MS = 3000 -- for a whole answer
local PAUSE_MS = 100
local TTL_MS = 1000
local HALF_LIFE_MS = 1000
local MAX_SHED = 0.95
local MAX_BODY_BYTES = 8192

local known = { shed = 0, retry_after_ms = 1000, renewed_ms = 0, etag = nil }
local asking = nil -- the question that is under way

local function now_ms()
  local now = core.now()
  return now.sec * 1000 + now.usec / 1000
end

local function level()
  local beyond_ms = math.max(0, now_ms() - known.renewed_ms - TTL_MS)
  local share = math.min(MAX_SHED, known.shed) * 2 ^ (-beyond_ms / HALF_LIFE_MS)
  return share < 0.01 and 0 or share
end

-- Returns the share and the time to retry of a whole answer, or nothing: one that was cut off comes here, too.
local function parse(body)
  if not body or #body > MAX_BODY_BYTES then return nil end
  local json = string.match(body, "^%s*({.*})%s*$")
  local shed = json and tonumber(string.match(json, '"shed"%s*:%s*([0-9.]+)'))
  if not shed or shed > 1 then return nil end
  local ms = tonumber(string.match(json, '"retry_after_ms"%s*:%s*([0-9]+)')) or 1000
  return shed, math.min(15000, math.max(1000, ms))
end

local function ask(question)
  local reply = core.httpclient():get({
    url = ENDPOINT .. "/v1/level?wait=" .. WAIT_MS,
    headers = known.etag and { ["if-none-match"] = { known.etag } } or nil,
    timeout = TIMEOUT_MS,
  })
  if asking ~= question then return end -- given up
  known.etag = nil
  if not reply then return end
  if reply.status == 200 then
    local shed, retry_after_ms = parse(reply.body)
    if not shed then return end
    known.shed, known.retry_after_ms = shed, retry_after_ms
  elseif reply.status ~= 304 then
    return
  end
  known.etag = reply.headers["etag"] and reply.headers["etag"][0] or nil
  known.renewed_ms = now_ms()
end

core.register_task(function()
  while true do
    if not asking or now_ms() - asking.since_ms > GIVE_UP_MS then
      local question = { since_ms = now_ms() }
      asking = question
      -- In a task of its own: the client has no limit for a whole answer, only between two packets of it.
      core.register_task(function()
        pcall(ask, question)
        if asking == question then asking = nil end
      end)
    end
    core.msleep(math.floor(PAUSE_MS * (0.9 + 0.2 * math.random())))
  end
end)

core.register_action("scx_slo_decide", { "http-req" }, function(txn)
  if math.random() >= level() then return end
  txn:set_var("txn.scx_slo_shed", true)
  txn:set_var("txn.scx_slo_retry_after", math.ceil(known.retry_after_ms / 1000 * (0.75 + 0.5 * math.random())))
end)
