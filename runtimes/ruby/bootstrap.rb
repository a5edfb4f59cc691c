# frozen_string_literal: true

# The life of one Ruby worker: Hello, Init, the user's file, its hooks, its calls, one after the other.

require 'json'
require_relative 'wire'

# What a handler gets beside the event.
Context = Struct.new(:request_id, :credentials, :function, :service, :region, :account_id, :retry_count, :tracing,
                     keyword_init: true)

# What came of an OpenTracing trace.
Tracing = Struct.new(:span_context, :span_baggages, :jaeger_endpoint)

# The worker.
class Worker
  OURS = __dir__
  MOST_HEADERS = 32_768

  def initialize(channel, init)
    @channel = channel
    @handler_name, @initializer, @code, environment, @told = init.values_at(0, 1, 2, 3, 4)
    @files = {}
    @hooks = { 'initializer' => @initializer }.merge(init[12])
    ENV.replace(environment)
    Dir.chdir(@code)
    $LOAD_PATH.unshift(@code)
    $PROGRAM_NAME = 'ruby'
    $stdout = $stderr.dup
    [$stdout, $stderr].each { |stream| stream.sync = true }
    Signal.trap('TERM') do
      $stderr.write("Function timed out; it was here:\n  #{caller.reject { |line| line.start_with?(OURS) }.join("\n  ")}\n")
      exit!(143)
    end
  end

  def load_code
    [@handler_name, *@hooks.values.reject(&:empty?)].each { |name| find(name) }
    @channel.write(Wire::READY, 0, [nil])
  rescue ScriptError, StandardError => e
    @channel.write(Wire::READY, 0, [fault(e)], document(e))
  end

  def serve
    while (frame = @channel.read)
      kind, call, header, payload = frame
      case kind
      when Wire::INVOKE then invoke(call, header, payload)
      when Wire::HOOK then run_hook(call, *header)
      when Wire::STOP then return
      end
    end
  end

  private

  # `file.method`, or `folder/file.method`.
  def find(name)
    file, _, method = name.rpartition('.')
    raise NameError, "Invalid handler '#{name}': it must be <file>.<method>" if file.empty? || method.empty?

    found = loaded(file)
    raise NameError, "Handler '#{method}' is missing on file '#{file}'" unless found.respond_to?(method, true)

    found.method(method)
  end

  # The methods that a file defines, on an object of their own: at the top level they would be every object's.
  def loaded(file)
    @files[file] ||= begin
      methods = Module.new
      load(File.join(@code, "#{file}.rb"), methods)
      Object.new.extend(methods)
    end
  end

  def invoke(call, header, first)
    body = body_of(call, header[1], first)
    context = context_of(header[2], header[4], header[7], header[8])
    header[3].zero? ? answer(call, find(@handler_name).call(body, context)) : serve_http(call, header[6], body, context)
  rescue ScriptError, StandardError, SystemStackError, NoMemoryError => e
    text = document(e)
    @channel.write(Wire::REPLY, call, [false, text.bytesize, fault(e), 200, nil, true], text)
  end

  def body_of(call, size, first)
    body = first.dup
    while body.bytesize < size
      kind, number, _, payload = @channel.read
      raise IOError, 'the caller has left' if kind == Wire::CANCEL && number == call
      next unless kind == Wire::DATA && number == call

      body << payload
      @channel.write(Wire::CREDIT, call, [payload.bytesize]) if body.bytesize < size
    end
    body
  end

  def answer(call, value)
    body = case value
           when String then value
           when nil then 'null'
           else JSON.generate(value)
           end
    return stream(call, 200, nil, body.bytesize, [body]) if body.bytesize > Wire::UNARY

    @channel.write(Wire::REPLY, call, [false, body.bytesize, nil, 200, nil, true], body)
  end

  # An HTTP function is a Rack application: it gets an environment and answers [status, headers, body].
  def serve_http(call, told, body, context)
    status, headers, pieces = find(@handler_name).call(environment(told, body, context))
    pairs = headers.flat_map { |name, value| value.to_s.split("\n").map { |each| [name.to_s, each] } }
    if pairs.sum { |pair| pair.sum(&:bytesize) } > MOST_HEADERS
      raise ArgumentError, "the response headers are larger than #{MOST_HEADERS} bytes"
    end

    stream(call, status.to_i, pairs, nil, pieces)
    pieces.close if pieces.respond_to?(:close)
  end

  def environment((method, path, uri, client, pairs), body, context)
    require 'stringio'
    found = {
      'REQUEST_METHOD' => method, 'PATH_INFO' => path, 'QUERY_STRING' => uri.partition('?')[2], 'SCRIPT_NAME' => '',
      'REMOTE_ADDR' => client, 'SERVER_NAME' => 'FCRUNTIME', 'SERVER_PORT' => '9000', 'rack.input' => StringIO.new(body),
      'rack.errors' => $stderr, 'rack.url_scheme' => 'http', 'fc.context' => context, 'fc.request_uri' => uri
    }
    pairs.each do |name, value|
      key = name.upcase.tr('-', '_')
      found[%w[CONTENT_TYPE CONTENT_LENGTH].include?(key) ? key : "HTTP_#{key}"] = value
    end
    found
  end

  # An answer in pieces, each sent when there is credit for it.
  def stream(call, status, headers, size, pieces)
    credit = Wire::PIECE
    @channel.write(Wire::REPLY, call, [true, size, nil, status, headers, false])
    pieces.each do |piece|
      at = 0
      while at < piece.bytesize
        credit += wait_for_credit(call) while credit <= 0
        part = piece.byteslice(at, [credit, Wire::PIECE].min)
        @channel.write(Wire::DATA, call, [true], part)
        credit -= part.bytesize
        at += part.bytesize
      end
    end
    @channel.write(Wire::END_, call, [nil, true])
  rescue ScriptError, StandardError, SystemStackError, NoMemoryError => e
    @channel.write(Wire::END_, call, [fault(e), true])
  end

  def wait_for_credit(call)
    kind, number, header, = @channel.read
    raise IOError, 'the caller has left' if kind == Wire::CANCEL && number == call

    kind == Wire::CREDIT && number == call ? header[0] : 0
  end

  def run_hook(call, name, request_id)
    find(@hooks[name]).call(context_of(request_id, 0, nil))
    @channel.write(Wire::HOOK_DONE, call, [nil])
  rescue ScriptError, StandardError => e
    @channel.write(Wire::HOOK_DONE, call, [fault(e)], document(e))
  end

  def context_of(request_id, attempt, trace, qualifier = nil)
    span, baggages = trace || ['', {}]
    tracing = Tracing.new(span, baggages, @told['jaeger_endpoint'].to_s)
    service = qualifier ? @told['service'].merge('qualifier' => qualifier) : @told['service']
    Context.new(request_id: request_id, credentials: @told['credentials'], function: @told['function'],
                service: service, region: @told['region'], account_id: @told['account_id'],
                retry_count: attempt, tracing: tracing)
  end

  def fault(error)
    ['UNHANDLED', error.message[0, 1000], error.class.name.to_s]
  end

  def document(error)
    stack = (error.backtrace || []).reject { |line| line.start_with?(OURS) }
    JSON.generate({ errorMessage: error.message.scrub, errorType: error.class.name, stackTrace: stack.first(200) })
  end
end

def main
  channel = Wire::Channel.new(3, 4)
  channel.write(Wire::HELLO, 0, [Wire::VERSION, 'ruby'])
  frame = channel.read
  return if frame.nil? || frame[0] != Wire::INIT

  worker = Worker.new(channel, frame[2])
  worker.load_code
  worker.serve
end

main
