# frozen_string_literal: true

# The worker's side of the wire: frames over descriptors, and the part of msgpack that headers need.
module Wire
  VERSION = 1
  UNARY = 1024 * 1024
  PIECE = 256 * 1024
  INIT, INVOKE, DATA, CREDIT, CANCEL, HOOK, STOP = *1..7
  HELLO, READY, REPLY, END_, HOOK_DONE = *16..20

  def self.pack(value)
    case value
    when nil then "\xC0".b
    when true then "\xC3".b
    when false then "\xC2".b
    when Integer then pack_integer(value)
    when String then pack_string(value)
    when Array then length(value.size, 0x90, 16, 0xDC) + value.map { |item| pack(item) }.join
    else raise TypeError, "cannot pack #{value.class}"
    end
  end

  def self.pack_integer(value)
    return [value].pack('C') if value.between?(0, 127)

    value.negative? ? [0xD3, value].pack('Cq>') : [0xCF, value].pack('CQ>')
  end

  def self.pack_string(value)
    bytes = value.b
    length(bytes.bytesize, 0xA0, 32, 0xDA) + bytes
  end

  def self.length(size, fixed, fixed_end, two)
    size < fixed_end ? [fixed | size].pack('C') : [two, size].pack('Cn')
  end

  # Takes one value after the other off a header.
  class Unpacker
    SIZES = { 0xC4 => 'C', 0xC5 => 'n', 0xC6 => 'N', 0xD9 => 'C', 0xDA => 'n', 0xDB => 'N',
              0xDC => 'n', 0xDD => 'N', 0xDE => 'n', 0xDF => 'N' }.freeze
    NUMBERS = { 0xCA => 'g', 0xCB => 'G', 0xCC => 'C', 0xCD => 'n', 0xCE => 'N', 0xCF => 'Q>',
                0xD0 => 'c', 0xD1 => 's>', 0xD2 => 'l>', 0xD3 => 'q>' }.freeze
    WIDTHS = { 'C' => 1, 'c' => 1, 'n' => 2, 's>' => 2, 'N' => 4, 'l>' => 4, 'g' => 4, 'G' => 8, 'Q>' => 8,
               'q>' => 8 }.freeze

    def initialize(data)
      @data = data
      @at = 0
    end

    def take
      tag = number('C')
      return tag if tag < 0x80
      return tag - 256 if tag >= 0xE0
      return map(tag & 15) if tag < 0x90
      return list(tag & 15) if tag < 0xA0
      return text(tag & 31) if tag < 0xC0
      return { 0xC0 => nil, 0xC2 => false, 0xC3 => true }[tag] if [0xC0, 0xC2, 0xC3].include?(tag)
      return number(NUMBERS[tag]) if NUMBERS.key?(tag)

      sized(tag, number(SIZES.fetch(tag)))
    end

    private

    def sized(tag, size)
      return bytes(size) if tag <= 0xC6
      return text(size) if tag <= 0xDB

      tag <= 0xDD ? list(size) : map(size)
    end

    def number(form)
      bytes(WIDTHS.fetch(form)).unpack1(form)
    end

    def bytes(size)
      found = @data.byteslice(@at, size)
      raise EOFError, 'a header ends too early' if found.nil? || found.bytesize < size

      @at += size
      found
    end

    def text(size)
      bytes(size).force_encoding(Encoding::UTF_8)
    end

    def list(size)
      Array.new(size) { take }
    end

    def map(size)
      size.times.to_h { [take, take] }
    end
  end

  # One frame after the other.
  class Channel
    def initialize(incoming, outgoing)
      @in = IO.for_fd(incoming, 'rb')
      @out = IO.for_fd(outgoing, 'wb')
      @out.sync = true
    end

    # [type, call, header, payload]; nil when the server has gone.
    def read
      head = @in.read(11)
      return nil if head.nil? || head.bytesize < 11

      size, kind, call, header_size = head.unpack('NCNn')
      rest = @in.read(size - 7)
      header = Unpacker.new(rest.byteslice(0, header_size)).take
      [kind, call, header, rest.byteslice(header_size, rest.bytesize) || ''.b]
    end

    def write(kind, call, header, payload = ''.b)
      packed = Wire.pack(header)
      @out.write([7 + packed.bytesize + payload.bytesize, kind, call, packed.bytesize].pack('NCNn') + packed + payload.b)
    end
  end
end
