'use strict';
// What user code raises becomes FC's error JSON, byte for byte what the caller gets.

const fs = require('fs');
const path = require('path');

const OURS = path.dirname(__filename);
const MOST_LINES = 200;
const MOST_TEXT = 65536;
const MOST_NAMES = 1000;

class HandlerError extends Error {
  // The handler string does not lead to a function. `kind` is FC's errorType.
  constructor(message, kind, cause) {
    super(message);
    this.kind = kind;
    this.from = cause;
  }
}

function isError(value) {
  return value instanceof Error || Object.prototype.toString.call(value) === '[object Error]';
}

// What of the packages that the function asks for could not be installed, in words; '' if all could.
function leftOut() {
  const folder = process.env.FC_FUNC_CODE_PATH || '';
  try {
    const files = fs.readdirSync(folder).filter((name) => name.startsWith('.left-out-npm-')).sort();
    const names = files.map((name) => fs.readFileSync(path.join(folder, name), 'utf8').slice(0, MOST_NAMES));
    return names.length ? `; of its packages these could not be had: ${names.join('\n').split('\n').join(', ')}`
      + ' (`pyfc list` says why)' : '';
  } catch {
    return '';
  }
}

function isMissing(error) {
  return Boolean(error) && (error.code === 'MODULE_NOT_FOUND' || error.code === 'ERR_MODULE_NOT_FOUND');
}

function messageOf(error) {
  try {
    return String(error.message).slice(0, MOST_TEXT) + (isMissing(error) ? leftOut() : '');
  } catch {
    return "the error's own text could not be made";
  }
}

function kindOf(error) {
  if (error instanceof HandlerError) return error.kind;
  const name = error && error.constructor && error.constructor.name;
  return String((typeof error.name === 'string' && error.name) || name || 'Error');
}

function stackOf(error) {
  const shown = error instanceof HandlerError && isError(error.from) ? error.from : error;
  const lines = typeof shown.stack === 'string' ? shown.stack.split('\n') : [];
  const ours = lines.findIndex((line) => line.includes(OURS)); // below it is nothing of the user's
  return lines.slice(0, ours < 0 ? MOST_LINES : Math.min(ours, MOST_LINES)).map((line) => line.trim());
}

// The error JSON and the fault of what a handler raised (`UNHANDLED`) or gave to its callback (`HANDLED`).
function describe(error, kind) {
  if (!isError(error)) {
    const text = stringify({ errorMessage: error === undefined ? null : error });
    return { fault: [kind, String(error).slice(0, 1000), 'Error'], body: Buffer.from(text) };
  }
  const document = { errorMessage: messageOf(error), errorType: kindOf(error), stackTrace: stackOf(error) };
  return {
    fault: [kind, document.errorMessage.slice(0, 1000), document.errorType.slice(0, 200)],
    body: Buffer.from(stringify(document)),
  };
}

function stringify(document) {
  try {
    return JSON.stringify(document);
  } catch {
    return JSON.stringify({ errorMessage: String(document.errorMessage) });
  }
}

module.exports = { HandlerError, describe, isError, isMissing, leftOut };
