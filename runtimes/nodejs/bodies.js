'use strict';
// One call as the worker holds it: the body of its request, and an answer in one piece or in many.
//
// 1. What a frame does not hold follows in Data frames; whoever reads them gives credit for as many again.
// 2. An answer in more than one frame is ended by End; pieces go out as there is credit.
// 3. When the caller has left, what is read on ends with an error and what is written on is dropped.

const wire = require('./wire');

class Call {
  constructor(channel, number, size, first) {
    this.number = number;
    this.size = size;
    this.onDone = () => {};
    this.onBody = null; // gets further pieces of the body, null at its end, an Error when it will not come
    this.isGone = false;
    this.isAnswered = false;
    this._channel = channel;
    this._chunks = first.length ? [first] : [];
    this._missing = size - first.length;
    this._credit = wire.MAXIMUM_DATA;
    this._waiting = null;
  }

  get whole() {
    // The body, if all of it has come.
    if (this._missing) return null;
    if (this._chunks.length !== 1) this._chunks = [Buffer.concat(this._chunks)];
    return this._chunks[0];
  }

  // Gives pieces to `take(piece)`, null at the end, as they come.
  read(take) {
    const first = this._chunks;
    this._chunks = [];
    for (const piece of first) take(piece);
    if (this.isGone && this._missing) take(new Error('the caller has left'));
    else if (!this._missing) take(null);
    else this.onBody = take;
  }

  body() {
    // The whole body, when it has come.
    if (!this._missing) return Promise.resolve(this.whole);
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
      this._missing -= payload.length;
      const piece = Buffer.from(payload);
      if (this.onBody) this.onBody(piece);
      else this._chunks.push(piece);
      this._channel.write(wire.CREDIT, this.number, [payload.length]);
      if (!this._missing && this.onBody) this.onBody(null);
    } else if (kind === wire.CREDIT) {
      this._credit += header[0];
      this._resume();
    } else if (kind === wire.CANCEL && header[0] === 'disconnected') {
      this.isGone = true;
      if (this.onBody && this._missing) this.onBody(new Error('the caller has left'));
      this._resume();
    }
  }

  _resume() {
    const waiting = this._waiting;
    this._waiting = null;
    if (waiting) waiting();
  }

  answer(fault, status, headers, body) {
    this.isAnswered = true;
    if (body.length > wire.MAXIMUM_UNARY) return this._answerLong(fault, status, headers, body);
    this._channel.write(wire.REPLY, this.number, [false, body.length, fault, status, headers, true], body);
    this.onDone();
    return undefined;
  }

  async _answerLong(fault, status, headers, body) {
    this.begin(status, headers, body.length, fault);
    await this.send(body);
    this.end(null);
  }

  // The head of an answer whose body comes piece by piece; `size` is null if nobody knows it yet.
  begin(status, headers, size, fault = null) {
    this.isAnswered = true;
    this._channel.write(wire.REPLY, this.number, [true, size, fault, status, headers, false]);
  }

  async send(piece) {
    let at = 0;
    while (at < piece.length && !this.isGone) {
      if (this._credit <= 0) {
        await new Promise((resolve) => { this._waiting = resolve; });
        continue;
      }
      const end = at + Math.min(this._credit, wire.MAXIMUM_DATA, piece.length - at);
      this._channel.write(wire.DATA, this.number, [true], piece.subarray(at, end));
      this._credit -= end - at;
      at = end;
    }
  }

  end(fault) {
    this._channel.write(wire.END, this.number, [fault, true]);
    this.onDone();
  }
}

module.exports = { Call };
