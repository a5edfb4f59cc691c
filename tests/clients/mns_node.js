// The life of a queue and of a topic with MNS's client for Node.js, unmodified: ADDRESS KEY SECRET NAME. Ends with status 0
// when all is as it should be.
'use strict';

const assert = require('assert');
const Client = require('@alicloud/mns');

const [endpoint, accessKeyID, accessKeySecret, name] = process.argv.slice(2);
const client = new Client('1234567890123456', {endpoint, accessKeyID, accessKeySecret});

async function codeOf(work) {
  try {
    await work;
  } catch (error) {
    return error.name.replace(/^MNS|Error$/g, '');
  }
  return '';
}

async function queues() {
  assert.strictEqual(await codeOf(client.getQueueAttributes(name)), 'QueueNotExist');
  const made = await client.createQueue(name, {VisibilityTimeout: 30});
  assert.strictEqual(made.code, 201);
  assert.ok(made.headers.location.endsWith(`/queues/${name}`));
  assert.strictEqual((await client.createQueue(name, {VisibilityTimeout: 30})).code, 204);
  assert.strictEqual((await client.setQueueAttributes(name, {VisibilityTimeout: 20})).code, 204);
  const {body} = await client.getQueueAttributes(name);
  assert.deepStrictEqual([body.QueueName, body.VisibilityTimeout, body.ActiveMessages], [name, '20', '0']);
  const listed = await client.listQueue('', 10, name);
  assert.ok(listed.body[0].QueueURL.endsWith(`/queues/${name}`));
}

async function messages() {
  const text = 'a message with &lt;markup&gt; and ü';
  assert.strictEqual((await client.sendMessage(name, {MessageBody: text, Priority: 5})).code, 201);
  assert.strictEqual((await client.peekMessage(name)).body.DequeueCount, '0');
  const got = (await client.receiveMessage(name, 5)).body;
  assert.deepStrictEqual([got.MessageBody, got.Priority], ['a message with <markup> and ü', '5']);
  const changed = await client.changeMessageVisibility(name, got.ReceiptHandle, 100);
  assert.strictEqual(await codeOf(client.deleteMessage(name, got.ReceiptHandle)), 'MessageNotExist');
  assert.strictEqual((await client.deleteMessage(name, changed.body.ReceiptHandle)).code, 204);
  assert.strictEqual(await codeOf(client.receiveMessage(name)), 'MessageNotExist');
}

async function batches() {
  const sent = await client.batchSendMessage(name, [1, 2, 3].map((number) => ({MessageBody: `text ${number}`})));
  assert.strictEqual(sent.body.length, 3);
  assert.strictEqual((await client.batchPeekMessage(name, 16)).body.length, 3);
  const got = (await client.batchReceiveMessage(name, 16)).body;
  assert.deepStrictEqual(got.map((each) => each.MessageBody), ['text 1', 'text 2', 'text 3']);
  const handles = got.map((each) => each.ReceiptHandle);
  assert.strictEqual((await client.batchDeleteMessage(name, handles.slice(0, 2))).code, 204);
  const [wrong] = (await client.batchDeleteMessage(name, handles.slice(1))).body;
  assert.deepStrictEqual([wrong.ErrorCode, wrong.ReceiptHandle], ['MessageNotExist', handles[1]]);
}

async function topics() {
  assert.strictEqual((await client.createTopic(name, {MaximumMessageSize: 2048})).code, 201);
  assert.strictEqual((await client.setTopicAttributes(name, {MaximumMessageSize: 4096})).code, 204);
  assert.strictEqual((await client.getTopicAttributes(name)).body.MaximumMessageSize, '4096');
  assert.ok((await client.listTopic('', 10, name)).body[0].TopicURL.endsWith(`/topics/${name}`));
  const published = await client.publishMessage(name, {MessageBody: 'hello', MessageTag: 'tag'});
  assert.strictEqual(published.body.MessageId.length, 32);
}

queues().then(messages).then(batches).then(topics).then(() => client.deleteQueue(name)).catch((error) => {
  console.error(error);
  process.exit(1);
});
