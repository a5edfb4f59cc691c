// A life cycle by npm's @alicloud/fc20230330, unmodified. Arguments: endpoint, key id, secret, zip file.
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const { Readable } = require('node:stream');
const { default: Client, ...models } = require('@alicloud/fc20230330');
const { $OpenApiUtil: { Config } } = require('@alicloud/openapi-core');

const [endpoint, accessKeyId, accessKeySecret, file] = process.argv.slice(2);
const client = new Client(new Config({
  accessKeyId, accessKeySecret, endpoint: endpoint.replace('http://', ''), protocol: 'http', regionId: 'cn-hangzhou',
}));
const code = new models.InputCodeLocation({ zipFile: fs.readFileSync(file).toString('base64') });

async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    return error.code;
  }
  throw new Error('it has not failed');
}

async function text(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

async function main() {
  const made = await client.createFunction(new models.CreateFunctionRequest({
    body: new models.CreateFunctionInput({
      functionName: 'j3', runtime: 'python3.10', handler: 'index.handler', code, environmentVariables: { GREETING: 'hello' },
    }),
  }));
  assert.strictEqual(made.body.lastUpdateStatus, 'Successful');
  assert.strictEqual(await failure(client.getFunction('nope', new models.GetFunctionRequest({}))), 'FunctionNotFound');
  const answer = await client.invokeFunction('j3', new models.InvokeFunctionRequest({ body: Readable.from([Buffer.from('ada')]) }));
  assert.strictEqual(await text(answer.body), 'hello ada');
  await client.updateFunction('j3', new models.UpdateFunctionRequest({ body: new models.UpdateFunctionInput({ timeout: 9 }) }));
  assert.strictEqual((await client.getFunction('j3', new models.GetFunctionRequest({}))).body.timeout, 9);
  await client.createTrigger('j3', new models.CreateTriggerRequest({
    body: new models.CreateTriggerInput({
      triggerName: 'h', triggerType: 'http', triggerConfig: JSON.stringify({ authType: 'anonymous', methods: ['GET'] }),
    }),
  }));
  const listed = await client.listTriggers('j3', new models.ListTriggersRequest({}));
  assert.strictEqual(listed.body.triggers[0].httpTrigger.urlInternet.startsWith('http://'), true);
  const published = await client.publishFunctionVersion('j3', new models.PublishFunctionVersionRequest({
    body: new models.PublishVersionInput({ description: 'x' }),
  }));
  assert.strictEqual(published.body.versionId, '1');
  await client.createAlias('j3', new models.CreateAliasRequest({
    body: new models.CreateAliasInput({ aliasName: 'prod', versionId: '1' }),
  }));
  await client.putAsyncInvokeConfig('j3', new models.PutAsyncInvokeConfigRequest({
    body: new models.PutAsyncInvokeConfigInput({ maxAsyncRetryAttempts: 1 }),
  }));
  await client.deleteTrigger('j3', 'h');
  await client.deleteAlias('j3', 'prod');
  await client.deleteFunction('j3');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
