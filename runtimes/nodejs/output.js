'use strict';
// What functions print: `console` with FC's levels and lines, and whose call it is.
//
// With one call at a time everything is written to descriptors 1 and 2, at once. With several, what a call prints goes
// out in Log frames of its own.

const util = require('util');
const { writeAll, LOG } = require('./wire');

const LEVELS = { debug: 0, verbose: 1, info: 2, warn: 3, error: 4 };
const current = { requestId: '', number: 0 }; // of the one call that runs
let threshold = LEVELS.debug;
let contexts = null; // with several calls: AsyncLocalStorage of such objects
let channel = null;

function running() {
  return (contexts && contexts.getStore()) || current;
}

function line(level, values) {
  if (LEVELS[level] < threshold) return;
  const message = util.format(...values).replace(/\n/g, '\r');
  const call = running();
  const id = call.requestId ? `${call.requestId} ` : '';
  emit(call, Buffer.from(`${new Date().toISOString()} ${id}[${level}] ${message}\n`));
}

function emit(call, data) {
  if (contexts && call.number) channel.write(LOG, call.number, [], data);
  else writeAll(1, data);
}

function setLogLevel(level) {
  const name = String(level).toLowerCase();
  if (name in LEVELS) threshold = LEVELS[name];
}

const methods = {
  log: (...values) => line('verbose', values),
  info: (...values) => line('info', values),
  warn: (...values) => line('warn', values),
  error: (...values) => line('error', values),
  debug: (...values) => line('debug', values),
  trace: (...values) => line('error', [new Error(util.format(...values)).stack]),
  setLogLevel,
};

class Logger {
  // context.logger: the same lines, with the id of its own call.
  #call;

  constructor(requestId, number) {
    this.#call = { requestId, number };
  }

  #write(level, values) {
    if (contexts) contexts.run(this.#call, () => methods[level](...values));
    else methods[level](...values);
  }

  log(...values) { this.#write('log', values); }
  debug(...values) { this.#write('debug', values); }
  info(...values) { this.#write('info', values); }
  warn(...values) { this.#write('warn', values); }
  error(...values) { this.#write('error', values); }
  setLogLevel(level) { setLogLevel(level); }
}

function install() {
  Object.assign(console, methods);
}

// Several calls at once: returns how to run something as part of a call.
function separate(to) {
  const { AsyncLocalStorage } = require('async_hooks');
  channel = to;
  contexts = new AsyncLocalStorage();
  for (const stream of [process.stdout, process.stderr]) {
    const write = stream.write.bind(stream);
    stream.write = (data, encoding, done) => {
      const call = running();
      if (!call.number) return write(data, encoding, done);
      const after = typeof encoding === 'function' ? encoding : done;
      channel.write(LOG, call.number, [], Buffer.from(data, typeof encoding === 'string' ? encoding : 'utf8'));
      if (after) process.nextTick(after);
      return true;
    };
  }
  return (call, work) => contexts.run(call, work);
}

module.exports = { current, running, install, separate, Logger, line };
