#!/usr/bin/env bash
# V8's CPU profiler (Node.js 20.18.1), begun while a loop runs, does not know the function whose loop it is: V8 has replaced
# its code on the stack, and code that was made so before is in no list that the profiler reads when it begins. The function
# is missing in the profile and its time is its caller's. Begun before the call, the same profiler names it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund node@20.18.1 > /dev/null
cat > seen.js <<'J'
const { Worker } = require('worker_threads');
const [, , delay] = process.argv;
const profiler = new Worker(`
const { Session } = require('inspector');
const { workerData } = require('worker_threads');
const session = new Session();
session.connectToMainThread();
session.post('Profiler.enable');
const waits = setInterval(() => {}, 1000);
setTimeout(() => session.post('Profiler.start'), workerData);
setTimeout(() => session.post('Profiler.stop', (error, { profile }) => {
  clearInterval(waits);
  const name = 'slow_part';
  const there = profile.nodes.some((node) => node.callFrame.functionName === name) ? 'is there' : 'is missing';
  require('fs').writeSync(1, name + ' ' + there + ' among ' + (profile.samples.length > 20 ? 'many' : 'few') + ' samples\\n');
}), workerData + 1000);
`, { eval: true, workerData: Number(delay) });
profiler.unref();

function leaf(i) { return Math.sqrt(i + 1); }
function slow_part(seconds) {
  const end = Date.now() + 1000 * seconds;
  let x = 0;
  while (Date.now() < end) for (let i = 0; i < 1e5; i++) x += leaf(i);
  return x;
}
function caller() { return slow_part(4); }
setTimeout(() => { caller(); setTimeout(() => {}, 1500); }, 1000);
J
echo "begun before the call:" | tee seen
node_modules/node/bin/node seen.js 500 | tee -a seen
echo "begun a second after it:" | tee -a seen
node_modules/node/bin/node seen.js 2000 | tee -a seen
node_modules/node/bin/node --version
[ "$(cat seen)" = "begun before the call:
slow_part is there among many samples
begun a second after it:
slow_part is missing among many samples" ]
