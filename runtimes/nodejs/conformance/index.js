'use strict';
// The functions of the conformance kit, which runtimes/README.md describes.

const { Readable } = require('stream');

let initialized = false;
let running = 0;
let most = 0;
const later = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

exports.initialize = (context, callback) => {
  initialized = true;
  callback(null, '');
};

exports.freeze = async () => console.log('preFreeze ran');
exports.stop = (context, callback) => {
  console.log('preStop ran');
  callback(null, '');
};

exports.echo = (event, context, callback) => callback(null, event);

exports.fault = async (event) => {
  throw new RangeError(event.toString());
};

exports.slow = async (event) => {
  await later(Number(event));
  return 'slept';
};

exports.log = async (event, context) => {
  console.log(`printed ${event}`);
  context.logger.error(`logged ${event}`);
  return 'done';
};

exports.init = async () => (initialized ? 'initialized' : 'not initialized');

exports.binary = async () => Buffer.from(Array.from({ length: 256 }, (_, index) => index));

exports.big = async (event) => Buffer.alloc(event.length + 1, 'x');

exports.context = async (event, context) => ({
  requestId: context.requestId,
  function: context.function.name,
  handler: context.function.handler,
  memory: context.function.memory,
  timeout: context.function.timeout,
  service: context.service.name,
  region: context.region,
  qualifier: context.service.qualifier,
  accountId: context.accountId,
  accessKeyId: context.credentials.accessKeyId,
});

exports.hooks = async () => 'done';

exports.concurrency = async () => {
  running += 1;
  most = Math.max(most, running);
  await later(300);
  running -= 1;
  return String(most);
};

exports.http = (req, resp) => {
  const pieces = [];
  req.on('data', (piece) => pieces.push(piece));
  req.on('end', () => {
    resp.setStatusCode(201);
    resp.setHeader('Content-Type', 'application/json');
    resp.setHeader('X-Conformance', 'yes');
    resp.setHeader('Set-Cookie', ['a=1', 'b=2']);
    resp.send(JSON.stringify({
      method: req.method,
      path: req.path,
      query: req.url.split('?')[1],
      header: req.headers['x-sent'],
      body: Buffer.concat(pieces).toString(),
    }));
  });
};

exports.stream = (req, resp) => {
  async function* pieces() {
    yield 'one\n';
    await later(500);
    yield 'two\n';
  }
  resp.setHeader('Content-Type', 'text/plain');
  resp.send(Readable.from(pieces()));
};

exports.unread = (req, resp) => resp.send('unread');

exports.pieces = (req, resp) => {
  function* pieces() {
    for (let left = Number(req.url.split('?')[1]); left; left--) yield 'x'.repeat(65536);
  }
  resp.send(Readable.from(pieces()));
};

exports.digest = async (req, resp) => {
  const digest = require('crypto').createHash('sha256');
  for await (const piece of req) {
    digest.update(piece);
    await later(2);
  }
  resp.send(digest.digest('hex'));
};

exports.heads = (req, resp) => {
  resp.setHeader('X-Large', 'x'.repeat(Number(req.url.split('?')[1])));
  resp.send('heads');
};
