'use strict';
// The life of one Node.js worker: Hello, Init, the user's module, its hooks, its calls.
//
// The worker never tells times or sizes: the server measures. What user code raises becomes FC's error JSON.

const fs = require('fs');
const os = require('os');
const path = require('path');

const wire = require('./wire');
const output = require('./output');
const { describe } = require('./errors');
const { Call } = require('./bodies');

const NAME = 'nodejs';

class Worker {
  constructor(channel, init) {
    [this._handlerName, this._initializerName, this._code] = init;
    this._channel = channel;
    this._calls = new Map();
    this._hooks = {};
    this._hookNames = { initializer: init[1], ...init[12] };
    this._isConcurrent = init[8] > 1;
    this._traces = init[14];
    this._inside = this._isConcurrent ? output.separate(channel) : (_call, work) => work();
    enter(init);
    const context = require('./context');
    this._fixed = new context.Fixed(init[4]);
    this._makeContext = context.make;
    output.install();
    channel.onFrame = (...frame) => this._take(...frame);
    channel.onEnd = () => process.exit(0);
    process.on('uncaughtException', (error) => this._uncaught(error));
    process.on('unhandledRejection', (error) => this._rejected(error));
    process.on('SIGTERM', () => sayWhatIsAwaited());
    if (init[17]) require('./profiler').offer(init[17]);
  }

  async load() {
    const { find } = require('./loader');
    wire.writeAll(1, Buffer.from(`load code for handler:${this._handlerName}\n`));
    const trace = this._traces ? require('./imports').trace() : null;
    try {
      this._handler = await find(this._code, this._handlerName);
      for (const [name, handler] of Object.entries(this._hookNames)) {
        if (handler) this._hooks[name] = await find(this._code, handler);
      }
    } catch (error) {
      const { fault, body } = describe(error, 'UNHANDLED');
      this._channel.write(wire.READY, 0, [fault], body);
      return;
    }
    this._channel.write(wire.READY, 0, [null], trace && Buffer.from(JSON.stringify(trace())));
  }

  _take(kind, number, header, payload) {
    if (kind === wire.INVOKE) {
      const call = new Call(this._channel, number, header[1], Buffer.from(payload));
      this._calls.set(number, call);
      call.onDone = () => this._calls.delete(number);
      this._inside({ requestId: header[2], number }, () => this._run(call, header));
    } else if (kind === wire.HOOK) {
      this._runHook(number, header[0], header[1]);
    } else if (kind === wire.STOP) {
      process.exit(0);
    } else if (kind === wire.CANCEL && header[0] === 'timeout') {
      this._channel.write(wire.LOG, number, [], Buffer.from(awaited()));
    } else if (this._calls.has(number)) {
      const call = this._calls.get(number);
      call.take(kind, header, payload);
      if (call.isCutOff) setImmediate(() => this._giveUp(call));
    }
  }

  // Its request will never be whole: a handler that only waits for that would never answer.
  _giveUp(call) {
    if (!call.isAnswered) this._fail(call, new Error('the caller has left'), 'UNHANDLED');
  }

  async _run(call, header) {
    const [, , requestId, kind, attempt, , http, trace, alias] = header;
    if (!this._isConcurrent) Object.assign(output.current, { requestId, number: call.number });
    const context = this._makeContext(this._fixed, requestId, call.number, attempt, trace, alias);
    try {
      if (kind === 1) {
        this._serve(call, http, context);
        return;
      }
      const event = call.whole || await call.body();
      const answer = this._answerer(call);
      const returned = this._handler(event, context, answer);
      if (returned && typeof returned.then === 'function') {
        returned.then((value) => answer(null, value), (error) => this._fail(call, error, 'UNHANDLED'));
      } else if (returned !== undefined && this._handler.length < 3) {
        answer(null, returned);
      }
    } catch (error) {
      this._fail(call, error, 'UNHANDLED');
    }
  }

  _answerer(call) {
    // FC's callback: the first answer counts.
    return (error, value) => {
      if (call.isAnswered) return;
      if (error !== null && error !== undefined && error !== false && error !== '') {
        this._fail(call, error, 'HANDLED');
        return;
      }
      let body;
      try {
        body = toBytes(value);
      } catch (unfit) {
        this._fail(call, unfit, 'UNHANDLED');
        return;
      }
      this._end();
      call.answer(null, 200, null, body);
    };
  }

  _serve(call, told, context) {
    const { Request, Response } = require('./http');
    const request = new Request(call, told);
    const response = new Response(call, (error) => {
      this._end();
      if (error) call.end(describe(error, 'UNHANDLED').fault);
    });
    const returned = this._handler(request, response, context);
    if (returned && typeof returned.then === 'function') {
      returned.then(undefined, (error) => this._fail(call, error, 'UNHANDLED'));
    }
  }

  _fail(call, error, kind) {
    if (call.isAnswered) {
      output.line('error', [error]);
      return;
    }
    const { fault, body } = describe(error, kind);
    this._end();
    call.answer(fault, 200, null, body);
  }

  _end() {
    if (!this._isConcurrent) Object.assign(output.current, { requestId: '', number: 0 });
  }

  // A function that listens itself decides what becomes of it: ours act where it does not.
  _uncaught(error) {
    if (process.listenerCount('uncaughtException') === 1) this._broken(error);
  }

  // As Node.js has it: what nobody handles is thrown.
  _rejected(error) {
    if (process.listenerCount('unhandledRejection') > 1) return;
    if (process.hasUncaughtExceptionCaptureCallback()) throw error;
    if (process.listenerCount('uncaughtException') > 1) process.emit('uncaughtException', error, 'unhandledRejection');
    else this._broken(error);
  }

  // Something was thrown where nobody could catch it. The state of the process is anybody's guess, so it ends; the
  // call to which it belongs is told why, or every call if nobody knows.
  _broken(error) {
    const mine = this._calls.get(output.running().number);
    const calls = mine !== undefined ? [mine] : [...this._calls.values()];
    const waiting = calls.filter((call) => !call.isAnswered);
    if (!waiting.length) output.line('error', [error]);
    for (const call of waiting) this._fail(call, error, 'UNHANDLED');
    if (![...this._calls.values()].some((call) => !call.isAnswered)) process.exit(1);
  }

  async _runHook(number, name, requestId) {
    output.current.requestId = requestId;
    const context = this._makeContext(this._fixed, requestId, 0, 0, null);
    let error = null;
    try {
      await new Promise((resolve, reject) => {
        const done = (failure) => (failure ? reject(failure) : resolve());
        const returned = this._hooks[name](context, done);
        if (returned && typeof returned.then === 'function') returned.then(() => resolve(), reject);
        else if (this._hooks[name].length < 2) resolve();
      });
    } catch (failure) {
      error = failure;
    }
    output.current.requestId = '';
    if (error === null) {
      this._channel.write(wire.HOOK_DONE, number, [null]);
      return;
    }
    const { fault, body } = describe(error, 'UNHANDLED');
    this._channel.write(wire.HOOK_DONE, number, [fault], body);
  }
}

// What FC makes of a result: a Buffer as it is, an object as JSON, nothing as nothing, the rest as text.
function toBytes(value) {
  if (value === undefined) return Buffer.alloc(0);
  if (Buffer.isBuffer(value)) return value;
  if (value instanceof Uint8Array) return Buffer.from(value);
  return Buffer.from(typeof value === 'object' ? JSON.stringify(value) : String(value));
}

// The environment and the folders of the function.
function enter(init) {
  const [, , code, environment, , packages, cache] = init;
  for (const name of Object.keys(process.env)) if (!(name in environment)) delete process.env[name];
  for (const [name, value] of Object.entries(environment)) {
    if (process.env[name] !== value) process.env[name] = value; // TZ, set anew, takes milliseconds
  }
  process.chdir(code);
  process.title = 'node';
  process.argv.splice(1);
  require('./loader').becomeMain(code);
  const version = process.versions.node.split('.')[0];
  const declared = (environment.NODE_PATH || '').split(':').filter(Boolean);
  const layers = [`/opt/nodejs/node${version}/node_modules`, '/opt/nodejs/node_modules'];
  require('./loader').lookIn([...declared, '/usr/local/lib/node_modules', ...layers, ...packages]);
  if (cache) useCompiled(cache);
}

// What V8 has compiled of the code before (Node.js 22.1), read-only here. Node.js looks below a name that ends in the
// number of its user, and each instance may have a user of its own.
function useCompiled(cache) {
  const { enableCompileCache } = require('module');
  if (!enableCompileCache) return;
  const there = fs.readdirSync(cache).find((name) => name.startsWith(`v${process.versions.node}-`));
  if (there === undefined) return;
  const place = path.join(os.tmpdir(), '.compiled');
  fs.mkdirSync(place, { recursive: true });
  fs.symlinkSync(path.join(cache, there), path.join(place, there.replace(/\d+$/, process.getuid())));
  enableCompileCache(place);
}

// The handler's name was empty: load the module once, without a network, and keep what V8 has compiled of it.
async function compile(channel, init) {
  const { enableCompileCache, flushCompileCache } = require('module');
  if (enableCompileCache && flushCompileCache) {
    enableCompileCache(init[6]);
    enter([...init.slice(0, 6), '']);
    await require('./loader').find(init[2], init[11].preload[0]).catch(() => {}); // whoever calls it hears of that
    flushCompileCache();
  }
  channel.write(wire.READY, 0, [null]);
  process.exit(0);
}

function awaited() {
  const names = process.getActiveResourcesInfo ? process.getActiveResourcesInfo() : [];
  const others = names.filter((name) => name !== 'PipeWrap' && name !== 'TTYWrap');
  return `Function timed out; it was still waiting for: ${others.join(', ') || 'its callback'}\n`;
}

// The server ends a call that took too long.
function sayWhatIsAwaited() {
  wire.writeAll(2, Buffer.from(awaited()));
  process.exit(143);
}

function main() {
  const channel = new wire.Channel(3, 4);
  channel.write(wire.HELLO, 0, [wire.VERSION, NAME]);
  channel.onEnd = () => process.exit(0);
  channel.onFrame = (kind, _number, header) => {
    if (kind !== wire.INIT) process.exit(0);
    if (!header[0]) {
      compile(channel, header);
      return;
    }
    const worker = new Worker(channel, header);
    if (header[13]) require('inspector').open(header[13], '127.0.0.1', true); // waits for a debugger
    worker.load();
  };
  setImmediate(() => require('./http')); // while nobody waits
  require('./context');
  require('./loader');
}

main();
