// A life cycle by npm's @alicloud/fc2, unmodified. Arguments: endpoint, key id, secret, zip file.
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const FC = require('@alicloud/fc2');

const [endpoint, accessKeyID, accessKeySecret, file] = process.argv.slice(2);
const client = new FC('1234567890123456', { accessKeyID, accessKeySecret, region: 'cn-hangzhou', endpoint });
const code = { zipFile: fs.readFileSync(file).toString('base64') };

async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    assert(error.requestId === undefined || error.requestId.length === 36);
    return [error.name, error.code];
  }
  throw new Error('it has not failed');
}

/** What a shell in an instance answers. */
function shell(instance) {
  return new Promise((resolve, reject) => {
    let text = '';
    const hooks = {
      onStdout: (chunk) => {
        text += chunk;
        if (text.includes('end\r\n')) {
          opened.then((each) => each.close());
          resolve(text);
        }
      },
      onError: reject,
    };
    const opened = client.instanceExec('jsvc', 'fn', '', instance, { command: '/bin/sh' }, hooks);
    opened.then((each) => each.websocket.on('open', () => {
      each.sendMessage(Buffer.from("\0echo $FC_FUNCTION_NAME e''nd\n"));
    }));
  });
}

async function main() {
  await client.createService('jsvc', { description: 'd' });
  assert.deepStrictEqual(await failure(client.createService('jsvc')), ['FCServiceAlreadyExistsError', 'ServiceAlreadyExists']);
  assert.deepStrictEqual(await failure(client.getService('nope')), ['FCServiceNotFoundError', 'ServiceNotFound']);
  await client.createFunction('jsvc', {
    functionName: 'fn',
    handler: 'index.handler', runtime: 'python3', memorySize: 128, timeout: 10, initializer: 'index.start', code,
    environmentVariables: { GREETING: 'hello' },
  });
  const answer = await client.invokeFunction('jsvc', 'fn', Buffer.from('ada'), { 'x-fc-log-type': 'Tail' });
  assert.strictEqual(answer.data, 'hello ada');
  assert(Buffer.from(answer.headers['x-fc-log-result'], 'base64').toString().includes('FC Invoke Start'));
  const { data } = await client.get('/services/jsvc/functions/fn/instances');
  assert((await shell(data.instances[0].instanceId)).includes('fn'));
  await client.updateFunction('jsvc', 'fn', { timeout: 20, code });
  assert.strictEqual((await client.getFunction('jsvc', 'fn')).data.timeout, 20);
  const listed = await client.listFunctions('jsvc', { limit: 1 });
  assert.deepStrictEqual(listed.data.functions.map((each) => each.functionName), ['fn']);
  assert((await client.getFunctionCode('jsvc', 'fn')).data.url.startsWith('http://'));

  assert.strictEqual((await client.publishVersion('jsvc', 'v1')).data.versionId, '1');
  await client.createAlias('jsvc', 'prod', '1', { description: 'd' });
  assert.strictEqual((await client.getAlias('jsvc', 'prod')).data.versionId, '1');
  assert.strictEqual((await client.invokeFunction('jsvc', 'fn', 'x', {}, 'prod')).data, 'hello x');
  await client.putProvisionConfig('jsvc', 'fn', 'prod', { target: 0 });
  assert.strictEqual((await client.getProvisionConfig('jsvc', 'fn', 'prod')).data.target, 0);

  await client.createFunction('jsvc', {
    functionName: 'web', handler: 'index.web', runtime: 'python3', code });
  await client.createTrigger('jsvc', 'web', {
    triggerName: 'http', triggerType: 'http', triggerConfig: { authType: 'function', methods: ['GET', 'POST'] },
  });
  const got = await client.get('/proxy/jsvc/web/path with', { a: '1' });
  assert.strictEqual(JSON.parse(got.data.toString ? got.data.toString() : got.data).path, '/path with');
  await client.createCustomDomain('js.example.com', {
    protocol: 'HTTP', routeConfig: { routes: [{ path: '/*', serviceName: 'jsvc', functionName: 'web' }] },
  });
  await client.updateCustomDomain('js.example.com', { protocol: 'HTTP' });
  assert.strictEqual((await client.getCustomDomain('js.example.com')).data.domainName, 'js.example.com');
  await client.deleteCustomDomain('js.example.com');
  await client.tagResource('services/jsvc', { k: 'v' });
  assert.deepStrictEqual((await client.getResourceTags({ resourceArn: 'services/jsvc' })).data.tags, { k: 'v' });
  await client.untagResource('services/jsvc', ['k'], false);

  await client.deleteTrigger('jsvc', 'web', 'http');
  await client.deleteAlias('jsvc', 'prod');
  await client.deleteVersion('jsvc', '1');
  await client.deleteFunction('jsvc', 'fn');
  await client.deleteFunction('jsvc', 'web');
  await client.deleteService('jsvc');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
