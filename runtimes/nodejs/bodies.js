'use strict';
// One call as the worker holds it: the body of its request, and an answer in one piece or in many.
//
// 1. What a frame does not hold follows in Data frames, of which a window's bytes may be on their way: credit is given
//    as the function takes them, and pieces of the answer go out as there is credit.
// 2. An answer in more than one frame is ended by End.
// 3. When the caller has left, what is read on ends with an error and what is written on is dropped.

const wire = require('./wire');

// How much of one body may be on its way; both its ends count the same (pyfc/sandbox/inside/window.py has the rules).
class Window {
  constructor() {
    this.free = wire.MAXIMUM_DATA;
  }

  use(size) {
    if (size <= 0 || size > this.free) throw new wire.WireError(`${size} bytes of a body where ${this.free} had credit`);
    this.free -= size;
  }

  give(size) {
    if (size <= 0 || size > wire.MAXIMUM_DATA - this.free) throw new wire.WireError('credit for what was never sent');
    this.free += size;
  }
}

class Call {
  constructor(channel, number, size, first) {
    this.number = number;
    this.size = size;
    this.onDone = () => {};
    this.isGone = false;
    this.isAnswered = false;
    this._channel = channel;
    this._first = first; // of the body; what follows it, and has no credit yet, is in _chunks
    this._chunks = [];
    this._missing = size - first.length;
    this._incoming = new Window();
    this._outgoing = new Window();
    this._taker = null; // gets pieces of the body, null at its end, an Error when it will not come
    this._wantsMore = true;
    this._isStreaming = false;
    this._waiting = null;
  }

  get whole() {
    // The body, if all of it came with the call.
    return this.size === this._first.length ? this._first : null;
  }

  get isCutOff() {
    // The rest of the request will not come.
    return this.isGone && this._missing > 0;
  }

  // Gives pieces to `take(piece)`, null at the end, as they come. After one for which it returns false there is a pause
  // until `more`.
  read(take) {
    this._taker = take;
    this._pass();
  }

  more() {
    this._wantsMore = true;
    this._pass();
  }

  _pass() {
    while (this._taker && this._wantsMore) {
      const piece = this._next();
      if (piece === undefined) return;
      if (piece === null || piece instanceof Error) {
        const take = this._taker;
        this._taker = null;
        take(piece);
        return;
      }
      this._wantsMore = this._taker(piece) !== false;
    }
  }

  _next() {
    if (this._first.length) {
      const piece = this._first;
      this._first = Buffer.alloc(0);
      return piece;
    }
    const piece = this._chunks.shift();
    if (piece === undefined) {
      if (!this._missing) return null;
      return this.isGone ? new Error('the caller has left') : undefined;
    }
    this._incoming.give(piece.length);
    if (this._missing && !this.isGone) this._channel.write(wire.CREDIT, this.number, [piece.length]);
    return piece;
  }

  body() {
    // The whole body, when it has come.
    return new Promise((resolve, reject) => {
      const pieces = [];
      this.read((piece) => {
        if (piece === null) resolve(Buffer.concat(pieces, this.size));
        else if (piece instanceof Error) reject(piece);
        else pieces.push(piece);
      });
    });
  }

  // A frame of this call has come.
  take(kind, header, payload) {
    if (kind === wire.DATA) {
      this._incoming.use(payload.length);
      this._missing -= payload.length;
      this._chunks.push(Buffer.from(payload));
      this._pass();
    } else if (kind === wire.CREDIT) {
      this._outgoing.give(header[0]);
      this._resume();
    } else if (kind === wire.CANCEL && header[0] === 'disconnected') {
      this.isGone = true;
      this._pass();
      this._resume();
    }
  }

  _resume() {
    const waiting = this._waiting;
    this._waiting = null;
    if (waiting) waiting();
  }

  // The first answer counts.
  answer(fault, status, headers, body) {
    if (this.isAnswered) return;
    if (body.length > wire.MAXIMUM_UNARY) {
      this._answerLong(fault, status, headers, body);
      return;
    }
    this.isAnswered = true;
    this._channel.write(wire.REPLY, this.number, [false, body.length, fault, status, headers, true], body);
    this.onDone();
  }

  async _answerLong(fault, status, headers, body) {
    this.begin(status, headers, body.length, fault);
    await this.send(body);
    this.end(null);
  }

  // The head of an answer whose body comes piece by piece; `size` is null if nobody knows it yet.
  begin(status, headers, size, fault = null) {
    if (this.isAnswered) return;
    this.isAnswered = this._isStreaming = true;
    this._channel.write(wire.REPLY, this.number, [true, size, fault, status, headers, false]);
  }

  async send(piece) {
    let at = 0;
    while (this._isStreaming && at < piece.length && !this.isGone) {
      if (!this._outgoing.free) {
        await new Promise((resolve) => { this._waiting = resolve; });
        continue;
      }
      const end = at + Math.min(this._outgoing.free, piece.length - at);
      this._outgoing.use(end - at);
      this._channel.write(wire.DATA, this.number, [true], piece.subarray(at, end));
      at = end;
    }
  }

  end(fault) {
    if (!this._isStreaming) return;
    this._isStreaming = false;
    this._channel.write(wire.END, this.number, [fault, true]);
    this.onDone();
  }
}

module.exports = { Call, Window };
