'use strict';
// A handler string `file.export` or `folder/file.export` becomes a function.

const fs = require('fs');
const Module = require('module');
const path = require('path');
const { pathToFileURL } = require('url');
const { HandlerError, isMissing, leftOut } = require('./errors');

const SUFFIXES = ['.js', '.mjs', '.cjs'];
const loaded = new Map();
let requireAs = null; // requires a module for the main one

async function find(code, name) {
  const dot = name.lastIndexOf('.');
  if (dot < 1 || dot === name.length - 1) throw new HandlerError(`Invalid handler '${name}'`, 'InvalidHandlerName');
  const file = name.slice(0, dot);
  const [found] = await load(path.join(code, file));
  const handler = member(found, name.slice(dot + 1));
  if (typeof handler === 'function') return handler;
  throw new HandlerError(`Handler '${name.slice(dot + 1)}' is missing on module '${file}'`, 'HandlerNotFound');
}

function member(module, name) {
  if (module && module[name] !== undefined) return module[name].bind ? module[name].bind(module) : module[name];
  const exported = module && module.default; // of a CommonJS module that was imported, or of `export default {...}`
  return exported && exported[name];
}

async function load(base) {
  if (!loaded.has(base)) loaded.set(base, await loadFile(base));
  return loaded.get(base);
}

// In a list: a module may export a function `then`, and is no promise for all that.
async function loadFile(base) {
  const file = SUFFIXES.map((suffix) => base + suffix).find((each) => fs.existsSync(each));
  if (file === undefined) throw new HandlerError(`Module '${base}.js' is missing.`, 'ImportModuleError');
  try {
    if (file.endsWith('.mjs')) return [await importModule(pathToFileURL(file))];
    try {
      return [requireAs(file)];
    } catch (error) {
      if (!isModuleSyntax(error)) throw error;
      return [await importModule(pathToFileURL(file))];
    }
  } catch (error) {
    throw explained(error);
  }
}

function isModuleSyntax(error) {
  return error && error.code === 'ERR_REQUIRE_ESM';
}

function explained(error) {
  // What an import raised is the function's fault; a missing package can be told better than Node.js does.
  if (!isMissing(error)) return error;
  const [first] = String(error.message).split('\n');
  const asks = fs.existsSync(path.join(process.cwd(), 'package.json'));
  const build = '; its folder has a package.json: `pyfc build` installs what it names, or says why not';
  const hint = leftOut() || (asks ? build : '');
  return new HandlerError(`${first}${hint}`, 'ImportModuleError', error);
}

// The main module, as far as a function asks for it: one of its own folder, which is not the function's file.
function becomeMain(code) {
  const main = new Module('.', null);
  main.filename = path.join(code, 'index.js');
  main.paths = Module._nodeModulePaths(code);
  main.loaded = true;
  process.mainModule = main;
  for (const name of Object.keys(Module._cache)) delete Module._cache[name];
  requireAs = main.require.bind(main);
}

// Where `require` looks beside the folders of the code itself.
function lookIn(folders) {
  process.env.NODE_PATH = folders.join(path.delimiter);
  Module._initPaths();
}

module.exports = { find, lookIn, becomeMain };
