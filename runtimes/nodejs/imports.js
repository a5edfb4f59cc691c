'use strict';
// What a module requires when it is loaded, and how long each takes: [[name, seconds, [...]], ...].

const Module = require('module');

function trace() {
  const root = [];
  const stack = [root];
  const load = Module._load;
  Module._load = function timed(name, ...others) {
    const inner = [];
    stack.push(inner);
    const began = process.hrtime.bigint();
    try {
      return load.call(this, name, ...others);
    } finally {
      stack.pop();
      stack[stack.length - 1].push([name, Number(process.hrtime.bigint() - began) / 1e9, inner]);
    }
  };
  return () => {
    Module._load = load;
    return root;
  };
}

module.exports = { trace };
