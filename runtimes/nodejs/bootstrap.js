'use strict';
// Loads the worker's files so that nothing of them shows in the function it runs: they are no modules of Node.js, and
// in a stack they lie where FC has its runtime.

const fs = require('fs');
const path = require('path');
const vm = require('vm');

const PLACE = '/var/fc/runtime/nodejs/'; // no folder here: nothing reads it
const PARAMETERS = ['module', 'exports', 'require', '__filename', 'importModule'];
const loaded = new Map();

function own(name) {
  if (!name.startsWith('./')) return require(name);
  const file = `${name.slice(2)}.js`;
  if (!loaded.has(file)) {
    const module = { exports: {} };
    loaded.set(file, module);
    const text = fs.readFileSync(path.join(__dirname, file), 'utf8');
    const run = vm.compileFunction(text, PARAMETERS, { filename: PLACE + file });
    run(module, module.exports, own, PLACE + file, (url) => import(url));
  }
  return loaded.get(file).exports;
}

own('./worker');
