'use strict';
// FC's context object for Node.js.

const { Logger } = require('./output');

class Fixed {
  // What is the same for all calls of an instance. `told`: Init's context.
  constructor(told) {
    const { credentials, function: its, service } = told;
    this.credentials = {
      accessKeyId: credentials.access_key_id,
      accessKeySecret: credentials.access_key_secret,
      securityToken: credentials.security_token,
    };
    this.function = {
      name: its.name,
      handler: its.handler,
      memory: its.memory,
      timeout: its.timeout,
      initializer: its.initializer || '',
      initializationTimeout: its.initialization_timeout || 0,
    };
    this.service = {
      name: service.name,
      logProject: service.log_project,
      logStore: service.log_store,
      qualifier: service.qualifier,
      versionId: service.version_id,
    };
    this.region = told.region;
    this.accountId = told.account_id;
    this.jaegerEndpoint = told.jaeger_endpoint || '';
  }
}

// A context of its own for each call: handlers change theirs.
function make(fixed, requestId, number, attempt, trace, alias) {
  const [span, baggages] = trace || ['', {}];
  const service = { ...fixed.service };
  if (alias) service.qualifier = alias;
  return {
    requestId,
    credentials: { ...fixed.credentials },
    function: { ...fixed.function },
    service,
    region: fixed.region,
    accountId: fixed.accountId,
    logger: new Logger(requestId, number),
    retryCount: attempt || 0,
    tracing: {
      openTracingSpanContext: span,
      openTracingSpanBaggages: baggages,
      spanContext: span,
      spanBaggages: baggages,
      jaegerEndpoint: fixed.jaegerEndpoint,
    },
  };
}

module.exports = { Fixed, make };
