-- wrk speaks to the proxy and asks for a whole URL, as a client of an HTTP proxy does. Arguments: the URL, and the body each answer must have.
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  target, expected = args[1], args[2]
  wrong = 0
  request_text = wrk.format("GET", target, { ["Host"] = target:match("^http://([^/]+)") })
end

function request()
  return request_text
end

function response(status, headers, body)
  if status ~= 200 or body ~= expected then wrong = wrong + 1 end
end

function done(summary, latency, requests)
  local wrong = 0
  for _, thread in ipairs(threads) do wrong = wrong + thread:get("wrong") end
  local errors = summary.errors
  io.write(string.format('{"requests":%d,"wrong":%d,"status":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d,"us":%d,"p50us":%d,"p99us":%d}\n',
    summary.requests, wrong, errors.status, errors.connect, errors.read, errors.write, errors.timeout, summary.duration,
    latency:percentile(50), latency:percentile(99)))
end
