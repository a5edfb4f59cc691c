<?php

declare(strict_types=1);

// The worker's side of the wire: frames over descriptors, and the part of msgpack that headers need.

namespace Pyfc;

const VERSION = 1;
const UNARY = 1024 * 1024;
const PIECE = 256 * 1024;
const INIT = 1;
const INVOKE = 2;
const DATA = 3;
const CREDIT = 4;
const CANCEL = 5;
const HOOK = 6;
const STOP = 7;
const HELLO = 16;
const READY = 17;
const REPLY = 18;
const END = 19;
const HOOK_DONE = 20;

function pack_value($value): string
{
    if ($value === null) {
        return "\xC0";
    }
    if (is_bool($value)) {
        return $value ? "\xC3" : "\xC2";
    }
    if (is_int($value)) {
        if ($value >= 0 && $value < 128) {
            return chr($value);
        }
        return ($value < 0 ? "\xD3" : "\xCF") . pack('J', $value);
    }
    if (is_string($value)) {
        return pack_length(strlen($value), 0xA0, 32, "\xDA", "\xDB") . $value;
    }
    return pack_length(count($value), 0x90, 16, "\xDC", "\xDD") . implode('', array_map('Pyfc\pack_value', $value));
}

function pack_length(int $size, int $fixed, int $end, string $two, string $four): string
{
    if ($size < $end) {
        return chr($fixed | $size);
    }
    return $size < 65536 ? $two . pack('n', $size) : $four . pack('N', $size);
}

// Takes one value after the other off a header.
final class Unpacker
{
    private const NUMBERS = [
        0xCA => ['G', 4], 0xCB => ['E', 8], 0xCC => ['C', 1], 0xCD => ['n', 2], 0xCE => ['N', 4], 0xCF => ['J', 8],
        0xD0 => ['c', 1], 0xD1 => ['n', 2], 0xD2 => ['N', 4], 0xD3 => ['J', 8],
    ];
    private const SIZES = [
        0xC4 => ['C', 1], 0xC5 => ['n', 2], 0xC6 => ['N', 4], 0xD9 => ['C', 1], 0xDA => ['n', 2], 0xDB => ['N', 4],
        0xDC => ['n', 2], 0xDD => ['N', 4], 0xDE => ['n', 2], 0xDF => ['N', 4],
    ];
    private const SIGNS = [0xD1 => 0x8000, 0xD2 => 0x80000000];

    private string $data;
    private int $at = 0;

    public function __construct(string $data)
    {
        $this->data = $data;
    }

    public function take()
    {
        $tag = ord($this->bytes(1));
        if ($tag < 0x80 || $tag >= 0xE0) {
            return $tag < 0x80 ? $tag : $tag - 256;
        }
        if ($tag < 0xC0) {
            return $this->short($tag);
        }
        if (isset(self::NUMBERS[$tag])) {
            $number = $this->number(self::NUMBERS[$tag]);
            $sign = self::SIGNS[$tag] ?? 0;
            return $sign && $number >= $sign ? $number - 2 * $sign : $number;
        }
        if (isset(self::SIZES[$tag])) {
            return $this->sized($tag, $this->number(self::SIZES[$tag]));
        }
        return [0xC0 => null, 0xC2 => false, 0xC3 => true][$tag];
    }

    private function short(int $tag)
    {
        if ($tag < 0x90) {
            return $this->map($tag & 15);
        }
        return $tag < 0xA0 ? $this->items($tag & 15) : $this->bytes($tag & 31);
    }

    private function sized(int $tag, int $size)
    {
        if ($tag <= 0xDB) {
            return $this->bytes($size);
        }
        return $tag <= 0xDD ? $this->items($size) : $this->map($size);
    }

    private function number(array $form)
    {
        return unpack($form[0], $this->bytes($form[1]))[1];
    }

    private function bytes(int $size): string
    {
        if ($this->at + $size > strlen($this->data)) {
            throw new \UnexpectedValueException('a header ends too early');
        }
        $this->at += $size;
        return substr($this->data, $this->at - $size, $size);
    }

    private function items(int $size): array
    {
        $found = [];
        while ($size-- > 0) {
            $found[] = $this->take();
        }
        return $found;
    }

    private function map(int $size): array
    {
        $found = [];
        while ($size-- > 0) {
            $key = $this->take();
            $found[$key] = $this->take();
        }
        return $found;
    }
}

// One frame after the other.
final class Channel
{
    private $in;
    private $out;

    public function __construct(int $in, int $out)
    {
        $this->in = fopen("php://fd/$in", 'rb');
        $this->out = fopen("php://fd/$out", 'wb');
        stream_set_read_buffer($this->in, 0);
        stream_set_write_buffer($this->out, 0);
    }

    // [type, call, header, payload]; null when the server has gone.
    public function read(): ?array
    {
        $head = $this->bytes(11);
        if ($head === null) {
            return null;
        }
        ['size' => $size, 'kind' => $kind, 'call' => $call, 'header' => $header] =
            unpack('Nsize/Ckind/Ncall/nheader', $head);
        $rest = $this->bytes($size - 7);
        if ($rest === null) {
            return null;
        }
        return [$kind, $call, (new Unpacker(substr($rest, 0, $header)))->take(), substr($rest, $header)];
    }

    public function write(int $kind, int $call, array $header, string $payload = ''): void
    {
        $packed = pack_value($header);
        $head = pack('NCNn', 7 + strlen($packed) + strlen($payload), $kind, $call, strlen($packed));
        $left = $head . $packed . $payload;
        while ($left !== '') {
            $done = @fwrite($this->out, $left);
            if ($done === false) {
                exit(1);  // the server has gone
            }
            $left = $done === strlen($left) ? '' : substr($left, $done);
        }
    }

    private function bytes(int $size): ?string
    {
        $found = '';
        while (($left = $size - strlen($found)) > 0) {
            $piece = @fread($this->in, $left);
            if ($piece === false || ($piece === '' && feof($this->in))) {
                return null;
            }
            $found .= $piece;
        }
        return $found;
    }
}
