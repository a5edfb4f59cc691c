// The life of a logstore with @alicloud/log of npm, unmodified: ADDRESS PROJECT KEY SECRET. It can pull nothing.
const assert = require('assert');
const Client = require('@alicloud/log');

const [endpoint, project, accessKeyId, accessKeySecret] = process.argv.slice(2);
const client = new Client({accessKeyId, accessKeySecret, endpoint});
const STORE = 'access';

async function life() {
  await client.createProject(project, {description: 'd'});
  assert.equal((await client.getProject(project)).projectName, project);
  await client.createLogStore(project, STORE, {ttl: 3, shardCount: 1});
  assert.equal((await client.getLogStore(project, STORE)).ttl, 3);
  await client.updateLogStore(project, STORE, {ttl: 5, shardCount: 1});
  assert.deepEqual((await client.listLogStore(project, {})).logstores, [STORE]);
  await assert.rejects(client.createLogStore(project, STORE, {}), {code: 'LogStoreAlreadyExist'});
  await logs();
  await indexes();
  await client.deleteLogStore(project, STORE);
  await client.deleteProject(project);
  await assert.rejects(client.getProject(project), {code: 'ProjectNotExist'});
}

async function logs() {
  const now = Math.floor(Date.now() / 1000);
  const lines = Array.from({length: 300}, (_, n) => (
    {timestamp: now, timestampNsPart: n, content: {message: `line ${n} ü`, n: `${n}`}}
  ));
  const group = {logs: lines, tags: [{a: 'b'}], topic: 'topic', source: '10.0.0.1'};
  await client.postLogStoreLogs(project, STORE, group);
  const span = [project, STORE, new Date((now - 100) * 1000), new Date((now + 100) * 1000)];
  const found = await client.getLogs(...span, {query: '"line 7" and n:7', line: 10, reverse: true});
  assert.deepEqual([found.length, found[0].message, found[0]['__tag__:a']], [1, 'line 7 ü', 'b']);
  const counted = await client.getLogs(...span, {query: 'n < 2 | select count(1) as c'});
  assert.equal(counted[0].c, '2');
  const histogram = await client.getHistograms(...span, {query: 'line'});
  assert.equal(histogram.reduce((sum, each) => sum + each.count, 0), 300);
  await assert.rejects(client.getLogs(...span, {query: '('}), {code: 'ParameterInvalid'});
}

async function indexes() {
  const index = {line: {token: [',', ' '], caseSensitive: false}, keys: {n: {type: 'long', doc_value: true}}};
  await client.createIndex(project, STORE, index);
  await client.updateIndex(project, STORE, index);
  assert.equal((await client.getIndexConfig(project, STORE)).keys.n.type, 'long');
  await client.deleteIndex(project, STORE);
}

life().catch((error) => {
  console.error(error);
  process.exit(1);
});
