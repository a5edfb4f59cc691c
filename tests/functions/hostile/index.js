// The handlers of index.py for Node.js: what is about the process itself is done here, the rest by a child of it, which
// has the worker's own descriptors 3 and 4.

const { spawn } = require('child_process');
const fs = require('fs');

const own = {
  loop_in_python: () => { for (;;); },
  sleep_for_ever: () => {},
  memory_bomb: () => { const kept = []; for (;;) kept.push(new Array(1e5).fill(kept.length)); },
  memory_mapped_bomb: () => { const kept = []; for (;;) kept.push(Buffer.alloc(1 << 20, 1)); },
  deep_recursion: () => { const deeper = () => 1 + deeper(); return deeper(); },
  giant_result: (event, context, callback) => callback(null, Buffer.alloc(100 << 20, 'x')),
  endless_output: () => { for (;;) console.log('x'.repeat(10000)); },
  timer_storm: () => { for (let index = 0; index < 1e5; index++) setInterval(() => {}, 0); },
  segfault: () => process.abort(),
  exit_at_once: () => process.exit(0),
  abort: () => process.abort(),
  stopped: () => { process.kill(process.pid, 'SIGSTOP'); for (;;); },
  closed_pipes: () => { fs.closeSync(3); fs.closeSync(4); },
  closed_output: () => { fs.closeSync(1); fs.closeSync(2); },
  deaf: () => { process.removeAllListeners('SIGTERM'); process.on('SIGTERM', () => {}); },
};

module.exports = new Proxy({}, {
  get: (_, name) => own[name] || ((event, context, callback) => {
    const program = 'import index, os, sys\nresult = getattr(index, sys.argv[1])(sys.stdin.buffer.read(), None)\n'
      + 'os.write(1, result if isinstance(result, bytes) else str(result).encode())';
    const child = spawn('python3', ['-c', program, name], { stdio: ['pipe', 'pipe', 'inherit', 3, 4] });
    const pieces = [];
    child.stdout.on('data', (piece) => pieces.push(piece));
    child.on('close', (code) => (code ? process.exit(code) : callback(null, Buffer.concat(pieces))));
    child.on('error', (error) => callback(error));
    child.stdin.on('error', () => {});
    child.stdin.end(event);
  }),
});
