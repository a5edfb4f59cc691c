# frozen_string_literal: true

# The functions of the conformance kit, which runtimes/README.md describes.

require 'digest'
require 'json'

$initialized = false

def initialize(_context)
  $initialized = true
end

def freeze(_context)
  puts 'preFreeze ran'
end

def stop(_context)
  puts 'preStop ran'
end

def echo(event, _context)
  event
end

def fault(event, _context)
  raise ArgumentError, event
end

def slow(event, _context)
  sleep(event.to_i / 1000.0)
  'slept'
end

def log(event, _context)
  puts "printed #{event}"
  warn "logged #{event}"
  'done'
end

def init(_event, _context)
  $initialized ? 'initialized' : 'not initialized'
end

def binary(_event, _context)
  (0..255).to_a.pack('C*')
end

def big(event, _context)
  'x' * (event.bytesize + 1)
end

def context(_event, context)
  {
    requestId: context.request_id, function: context.function['name'], handler: context.function['handler'],
    memory: context.function['memory'], timeout: context.function['timeout'], service: context.service['name'],
    qualifier: context.service['qualifier'], region: context.region, accountId: context.account_id, accessKeyId: context.credentials['access_key_id']
  }
end

def hooks(_event, _context)
  'done'
end

def concurrency(_event, _context)
  '1'
end

def http(env)
  answer = { method: env['REQUEST_METHOD'], path: env['PATH_INFO'], query: env['QUERY_STRING'],
             header: env['HTTP_X_SENT'], body: env['rack.input'].read }
  headers = { 'Content-Type' => 'application/json', 'X-Conformance' => 'yes', 'Set-Cookie' => "a=1\nb=2" }
  [201, headers, [JSON.generate(answer)]]
end

def stream(_env)
  pieces = Enumerator.new do |yielder|
    yielder << "one\n"
    sleep 0.5
    yielder << "two\n"
  end
  [200, { 'Content-Type' => 'text/plain' }, pieces]
end

def unread(_env)
  [200, {}, ['unread']]
end

def pieces(env)
  [200, {}, Enumerator.new { |yielder| env['QUERY_STRING'].to_i.times { yielder << 'x' * 65_536 } }]
end

def digest(env)
  [200, {}, [Digest::SHA256.hexdigest(env['rack.input'].read)]]
end

def heads(env)
  [200, { 'X-Large' => 'x' * env['QUERY_STRING'].to_i }, ['heads']]
end
