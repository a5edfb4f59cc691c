'use strict';
// FC's HTTP handlers for Node.js: `(req, resp, context)`.
//
// `req` is an http.IncomingMessage, so that frameworks and body parsers take it; `resp` has FC's methods.

const http = require('http');
const { Readable } = require('stream');

const SOCKET = { readable: false, writable: false, encrypted: false, destroy() {}, on() {}, once() {}, removeListener() {} };
const MOST_HEADERS = 32768;
const JOINED_BY = { cookie: '; ' };
const ONCE = new Set([
  'age', 'authorization', 'content-length', 'content-type', 'etag', 'expires', 'from', 'host', 'if-modified-since',
  'if-unmodified-since', 'last-modified', 'location', 'max-forwards', 'proxy-authorization', 'referer', 'retry-after',
  'server', 'user-agent',
]); // of which Node.js keeps the first

class Request extends http.IncomingMessage {
  constructor(call, [method, path, uri, client, headers]) {
    super({ ...SOCKET, remoteAddress: client, remotePort: 0 });
    this._call = call;
    this._isRead = false;
    this.httpVersion = '1.1';
    this.httpVersionMajor = this.httpVersionMinor = 1;
    this.complete = true;
    this.method = method;
    this.url = uri;
    this.path = path;
    this.clientIP = this.ip = client;
    this.queries = queriesOf(uri);
    this.rawHeaders = headers.flat();
    this.headers = headersOf(headers);
    const body = call.whole;
    if (body !== null) this.body = body;
  }

  getHeader(name) {
    return this.headers[String(name).toLowerCase()];
  }

  _read() {
    if (this._isRead) {
      this._call.more();
      return;
    }
    this._isRead = true;
    if (this.body !== undefined && Buffer.isBuffer(this.body)) {
      if (this.body.length) this.push(this.body);
      this.push(null);
      return;
    }
    this._call.read((piece) => (piece instanceof Error ? this._breakOff(piece) : this.push(piece)));
  }

  // As Node.js has it: an error only for who listens, else everyone would have to.
  _breakOff(error) {
    this.aborted = true;
    this.emit('aborted');
    this.destroy(this.listenerCount('error') ? error : undefined);
  }

  _destroy(error, done) {
    process.nextTick(done, error);
  }
}

function headersOf(pairs) {
  const headers = {};
  for (const [key, value] of pairs) {
    const name = key.toLowerCase();
    if (name === 'set-cookie') (headers[name] = headers[name] || []).push(value);
    else if (headers[name] === undefined) headers[name] = value;
    else if (!ONCE.has(name)) headers[name] += (JOINED_BY[name] || ', ') + value;
  }
  return headers;
}

function queriesOf(uri) {
  const queries = {};
  const at = uri.indexOf('?');
  if (at < 0) return queries;
  for (const [name, value] of new URLSearchParams(uri.slice(at + 1))) {
    if (queries[name] === undefined) queries[name] = value;
    else queries[name] = [].concat(queries[name], value);
  }
  return queries;
}

class Response {
  // `onEnd(error)` when the answer has been given, or when a stream that it comes from has failed.
  constructor(call, onEnd) {
    this.statusCode = 200;
    this.headers = {};
    this.isSent = false;
    this._call = call;
    this._onEnd = onEnd;
  }

  setStatusCode(status) {
    if (!Number.isInteger(status)) throw new TypeError('statusCode should be a `integer`');
    if (this.isSent) throw new Error('can not set statusCode after it is sent');
    this.statusCode = status;
    return this;
  }

  setHeader(name, value) {
    if (typeof name !== 'string') throw new TypeError('headerKey should be a `string`');
    if (typeof value !== 'string' && typeof value !== 'object') {
      if (typeof value !== 'number' && typeof value !== 'boolean') {
        throw new TypeError('headerValue should be a `string` or a object with `string` type key-value pair');
      }
    }
    if (this.isSent) throw new Error('can not set headers after they are sent');
    this.headers[name] = value;
    return this;
  }

  hasHeader(name) {
    return Object.keys(this.headers).some((each) => each.toLowerCase() === String(name).toLowerCase());
  }

  getHeader(name) {
    const key = Object.keys(this.headers).find((each) => each.toLowerCase() === String(name).toLowerCase());
    return key === undefined ? undefined : this.headers[key];
  }

  deleteHeader(name) {
    if (this.isSent) throw new Error('can not delete headers after they are sent');
    delete this.headers[name];
    return this;
  }

  send(body) {
    if (this.isSent) throw new Error('can not send multi times');
    if (body === undefined || body === null) body = '';
    if (typeof body === 'string') body = Buffer.from(body);
    if (body instanceof Uint8Array && !Buffer.isBuffer(body)) body = Buffer.from(body);
    const isStream = body instanceof Readable || (typeof body.pipe === 'function' && typeof body.on === 'function');
    if (!isStream && !Buffer.isBuffer(body)) {
      throw new TypeError('body should be a `string`, a `Buffer` or a readable stream');
    }
    const pairs = this._pairs();
    this.isSent = true;
    if (isStream) {
      this._stream(pairs, body);
      return;
    }
    this._onEnd(null);
    this._call.answer(null, this.statusCode, pairs, body);
  }

  _pairs() {
    const pairs = Object.entries(this.headers).flatMap(([name, value]) =>
      Array.isArray(value) ? value.map((each) => [name, String(each)]) : [[name, String(value)]]);
    const size = pairs.reduce((sum, pair) => sum + Buffer.byteLength(pair[0]) + Buffer.byteLength(pair[1]), 0);
    if (size > MOST_HEADERS) throw new RangeError(`the response headers are larger than ${MOST_HEADERS} bytes`);
    return pairs;
  }

  async _stream(pairs, body) {
    const call = this._call;
    call.begin(this.statusCode, pairs, null);
    try {
      for await (const piece of body) {
        if (call.isGone) break;
        await call.send(Buffer.isBuffer(piece) ? piece : Buffer.from(piece));
      }
      this._onEnd(null);
      call.end(null);
    } catch (error) {
      this._onEnd(error);
    }
  }
}

module.exports = { Request, Response };
