'use strict';
// The worker's side of the wire: frames over descriptors, and the part of msgpack that headers need.
// runtimes/README.md describes every frame. Nothing but Node.js itself is needed.

const fs = require('fs');

const VERSION = 1;
const MAXIMUM_UNARY = 1024 * 1024;
const MAXIMUM_DATA = 256 * 1024;
const INIT = 1, INVOKE = 2, DATA = 3, CREDIT = 4, CANCEL = 5, HOOK = 6, STOP = 7;
const HELLO = 16, READY = 17, REPLY = 18, END = 19, HOOK_DONE = 20, LOG = 21;
const PREFIX = 11; // length u32, type u8, call u32, header length u16

class WireError extends Error {}

// msgpack

const room = Buffer.allocUnsafe(65536);

function pack(value, at = 0) {
  // Writes `value` into `room`; where it ends. A header that is longer is no frame.
  switch (typeof value) {
    case 'boolean':
      room[at] = value ? 0xc3 : 0xc2;
      return at + 1;
    case 'number':
      return packNumber(value, at);
    case 'string': {
      const size = Buffer.byteLength(value);
      at = packLength(size, 0xa0, 32, 0xd9, 0xda, at);
      return at + room.write(value, at);
    }
    default:
      if (value === null || value === undefined) {
        room[at] = 0xc0;
        return at + 1;
      }
      if (Array.isArray(value)) {
        at = packLength(value.length, 0x90, 16, 0, 0xdc, at);
        for (const item of value) at = pack(item, at);
        return at;
      }
      throw new TypeError(`cannot pack ${typeof value}`);
  }
}

function packNumber(value, at) {
  if (!Number.isInteger(value)) {
    room[at] = 0xcb;
    return room.writeDoubleBE(value, at + 1);
  }
  if (value >= 0 && value < 128) {
    room[at] = value;
    return at + 1;
  }
  if (value < 0) {
    room[at] = 0xd3;
    return room.writeBigInt64BE(BigInt(value), at + 1);
  }
  if (value < 65536) {
    room[at] = 0xcd;
    return room.writeUInt16BE(value, at + 1);
  }
  if (value < 4294967296) {
    room[at] = 0xce;
    return room.writeUInt32BE(value, at + 1);
  }
  room[at] = 0xcf;
  return room.writeBigUInt64BE(BigInt(value), at + 1);
}

function packLength(size, fixed, fixedEnd, one, two, at) {
  if (size > room.length - at - 3) throw new WireError('a header is too long');
  if (size < fixedEnd) {
    room[at] = fixed | size;
    return at + 1;
  }
  if (one && size < 256) {
    room[at] = one;
    room[at + 1] = size;
    return at + 2;
  }
  room[at] = two;
  return room.writeUInt16BE(size, at + 1);
}

class Unpacker {
  constructor(data, at) {
    this.data = data;
    this.at = at;
  }

  take() {
    const data = this.data;
    const tag = data[this.at++];
    if (tag === undefined) throw new WireError('a header ends too early');
    if (tag < 0x80) return tag;
    if (tag >= 0xe0) return tag - 256;
    if (tag >= 0xa0 && tag < 0xc0) return this.text(tag & 31);
    if (tag >= 0x90 && tag < 0xa0) return this.list(tag & 15);
    if (tag >= 0x80 && tag < 0x90) return this.map(tag & 15);
    switch (tag) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: return this.bytes(this.number(1));
      case 0xc5: return this.bytes(this.number(2));
      case 0xc6: return this.bytes(this.number(4));
      case 0xca: this.at += 4; return data.readFloatBE(this.at - 4);
      case 0xcb: this.at += 8; return data.readDoubleBE(this.at - 8);
      case 0xcc: return this.number(1);
      case 0xcd: return this.number(2);
      case 0xce: return this.number(4);
      case 0xcf: this.at += 8; return Number(data.readBigUInt64BE(this.at - 8));
      case 0xd0: this.at += 1; return data.readInt8(this.at - 1);
      case 0xd1: this.at += 2; return data.readInt16BE(this.at - 2);
      case 0xd2: this.at += 4; return data.readInt32BE(this.at - 4);
      case 0xd3: this.at += 8; return Number(data.readBigInt64BE(this.at - 8));
      case 0xd9: return this.text(this.number(1));
      case 0xda: return this.text(this.number(2));
      case 0xdb: return this.text(this.number(4));
      case 0xdc: return this.list(this.number(2));
      case 0xdd: return this.list(this.number(4));
      case 0xde: return this.map(this.number(2));
      case 0xdf: return this.map(this.number(4));
      default: throw new WireError(`0x${tag.toString(16)} is nothing that a header holds`);
    }
  }

  number(size) {
    this.at += size;
    return this.data.readUIntBE(this.at - size, size);
  }

  bytes(size) {
    this.at += size;
    return Buffer.from(this.data.subarray(this.at - size, this.at));
  }

  text(size) {
    this.at += size;
    return this.data.toString('utf8', this.at - size, this.at);
  }

  list(size) {
    const items = new Array(size);
    for (let index = 0; index < size; index++) items[index] = this.take();
    return items;
  }

  map(size) {
    const items = {};
    for (let index = 0; index < size; index++) {
      const key = this.take();
      items[key] = this.take();
    }
    return items;
  }
}

function unpack(data) {
  return new Unpacker(data, 0).take();
}

function encode(kind, call, header, payload) {
  const headerSize = pack(header);
  const size = payload ? payload.length : 0;
  const frame = Buffer.allocUnsafe(PREFIX + headerSize + size);
  frame.writeUInt32BE(PREFIX - 4 + headerSize + size, 0);
  frame[4] = kind;
  frame.writeUInt32BE(call, 5);
  frame.writeUInt16BE(headerSize, 9);
  room.copy(frame, PREFIX, 0, headerSize);
  if (size) payload.copy(frame, PREFIX + headerSize);
  return frame;
}

function writeAll(descriptor, data) {
  // A pipe's writer waits for its reader, which is the server and always reads.
  let at = 0;
  while (at < data.length) {
    try {
      at += fs.writeSync(descriptor, data, at);
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

class Parser {
  // Frames out of the bytes of a stream, however these are cut: each goes to `onFrame(kind, call, header, payload)`.
  constructor(onFrame) {
    this._onFrame = onFrame;
    this._pieces = [];
    this._size = 0;
    this._wanted = 4;
  }

  feed(data) {
    this._pieces.push(data);
    this._size += data.length;
    if (this._size < this._wanted) return;
    let buffer = this._pieces.length === 1 ? data : Buffer.concat(this._pieces, this._size);
    let at = 0;
    while (buffer.length - at >= 4) {
      const size = 4 + buffer.readUInt32BE(at);
      if (buffer.length - at < size) {
        this._wanted = size;
        break;
      }
      this._wanted = 4;
      const headerSize = buffer.readUInt16BE(at + 9);
      const start = at + PREFIX + headerSize;
      const header = new Unpacker(buffer, at + PREFIX).take();
      this._onFrame(buffer[at + 4], buffer.readUInt32BE(at + 5), header, buffer.subarray(start, at + size));
      at += size;
    }
    buffer = buffer.subarray(at);
    this._pieces = buffer.length ? [buffer] : [];
    this._size = buffer.length;
  }
}

class Channel {
  // Frames from descriptor `incoming` go to `onFrame(kind, call, header, payload)` one after the other.
  constructor(incoming, outgoing) {
    this.onFrame = () => {};
    this.onEnd = () => {};
    this._outgoing = outgoing;
    const parser = new Parser((kind, call, header, payload) => this.onFrame(kind, call, header, payload));
    const net = require('net');
    this._socket = new net.Socket({ fd: incoming, readable: true, writable: false });
    this._socket.on('data', (data) => parser.feed(data));
    this._socket.on('end', () => this.onEnd());
    this._socket.on('error', () => this.onEnd());
  }

  write(kind, call, header, payload) {
    writeAll(this._outgoing, encode(kind, call, header, payload));
  }
}

module.exports = {
  VERSION, MAXIMUM_UNARY, MAXIMUM_DATA,
  INIT, INVOKE, DATA, CREDIT, CANCEL, HOOK, STOP, HELLO, READY, REPLY, END, HOOK_DONE, LOG,
  WireError, Parser, Channel, encode, unpack, writeAll,
};
