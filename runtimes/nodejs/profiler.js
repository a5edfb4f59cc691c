'use strict';
// V8's profiler, had at a UNIX socket: who connects is sent a line feed when it has begun, and when he has ended his
// side the profile, as JSON. It is asked by a thread of its own, since the main one is busy when a call is slow.

const { Worker } = require('worker_threads');

const INTERVAL = 10000; // microseconds between two samples

const THREAD = `
const { Session } = require('inspector');
const net = require('net');
const { workerData } = require('worker_threads');

net.createServer({ allowHalfOpen: true }, (socket) => {
  const session = new Session();
  let isEnded = false;
  const end = () => { isEnded = true; session.disconnect(); socket.destroy(); };
  socket.on('error', end);
  session.connectToMainThread();
  session.post('Profiler.enable');
  session.post('Profiler.setSamplingInterval', { interval: workerData.interval });
  session.post('Profiler.start', (error) => {
    if (error) end();
    else if (!isEnded) socket.write('\\n');
  });
  socket.resume();
  socket.on('end', () => {
    if (isEnded) return;
    session.post('Profiler.stop', (error, found) => {
      if (isEnded) return;
      isEnded = true;
      socket.end(error ? '' : JSON.stringify(found.profile), () => session.disconnect());
    });
  });
}).on('error', () => {}).listen(workerData.path);
`;

const SIZE = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 4, stackSizeMb: 1 };

// Nothing of it shows in the function: its thread holds nothing up, and its death is nobody's.
exports.offer = function offer(path) {
  const workerData = { path, interval: INTERVAL };
  const options = { eval: true, argv: [], env: {}, execArgv: [], workerData, resourceLimits: SIZE };
  try {
    const thread = new Worker(THREAD, options);
    thread.on('error', () => {});
    thread.unref();
  } catch {
    // a machine that has no room for a thread has none for profiles either
  }
};
