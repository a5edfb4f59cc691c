// The life of a logstore with the log service's part of aliyun-sdk of npm, unmodified: ADDRESS PROJECT KEY SECRET. An
// address with an IP reaches the only project there is, since the client says none then.
const assert = require('assert');
const ALY = require('aliyun-sdk');

const [endpoint, projectName, accessKeyId, secretAccessKey] = process.argv.slice(2);
const client = new ALY.SLS({accessKeyId, secretAccessKey, endpoint, apiVersion: '2015-06-01', maxRetries: 0});
const STORE = 'access';
const LINES = 300;

function call(operation, parameters) {
  return new Promise((resolve, reject) => {
    client[operation](parameters, (error, data) => (error ? reject(error) : resolve(data)));
  });
}

function ask(operation, more) {
  return call(operation, {projectName, ...more});
}

async function life() {
  const logstore = {logstoreName: STORE, ttl: 3, shardCount: 1};
  await call('createProject', {projectDetail: {projectName, description: 'd'}});
  const project = (await ask('getProject')).body;
  assert.equal((project.projects || [project])[0].projectName, projectName);
  await ask('createLogstore', {logstoreDetail: logstore});
  assert.equal((await ask('getLogstore', {LogStoreName: STORE})).body.ttl, 3);
  await ask('updateLogstore', {logstoreName: STORE, logstoreDetail: {...logstore, ttl: 5}});
  assert.deepEqual((await ask('listLogStores')).body.logstores, [STORE]);
  await assert.rejects(ask('createLogstore', {logstoreDetail: logstore}), {errorCode: 'LogStoreAlreadyExist'});
  await logs();
  await searches();
  await indexes();
  await ask('deleteLogstore', {LogStoreName: STORE});
  await ask('getLogstore', {LogStoreName: STORE}).then(assert.fail, (error) => assert.equal(error.code, 404));
}

async function logs() {
  const time = Math.floor(Date.now() / 1000);
  const lines = Array.from({length: LINES}, (_, n) => ({
    time, contents: [{key: 'message', value: `line ${n} ü`}, {key: 'n', value: `${n}`}],
  }));
  await ask('putLogs', {logStoreName: STORE, logGroup: {logs: lines, topic: 'topic', source: '10.0.0.1'}});
  const shards = Object.values((await ask('listShards', {logStoreName: STORE})).body);
  assert.deepEqual(shards.map((each) => each.shardID), [0]);
  const where = {logStoreName: STORE, ShardId: 0};
  const cursor = (await ask('getCursor', {...where, FromTime: time - 100})).body.cursor;
  const end = (await ask('getCursor', {...where, FromTime: time + 100})).body.cursor;
  const pulled = await ask('batchGetLogs', {...where, cursor, count: 100, end_cursor: end});
  const [group] = pulled.body.logGroupList;
  assert.equal(pulled.headers['x-log-cursor'], end);
  assert.deepEqual([group.topic, group.source, group.logs.length], ['topic', '10.0.0.1', LINES]);
  assert.deepEqual(group.logs[7].contents[0], {key: 'message', value: 'line 7 ü'});
  assert.equal(group.logs[7].time, time);
}

async function searches() {
  const now = Math.floor(Date.now() / 1000);
  const span = {logStoreName: STORE, from: now - 100, to: now + 100};
  const found = await ask('getLogs', {...span, topic: 'topic', query: '"line 7" and n:7', line: 10, reverse: true});
  assert.deepEqual(Object.values(found.body).map((each) => each.message), ['line 7 ü']);
  assert.equal(found.headers['x-log-progress'], 'Complete');
  const counted = await ask('executeLogStoreSql', {...span, query: 'n < 2 | select count(1) as c', powerSql: false});
  assert.equal(Object.values(counted.body)[0].c, '2');
  const histogram = Object.values((await ask('getHistograms', {...span, query: 'line'})).body);
  assert.equal(histogram.reduce((sum, each) => sum + each.count, 0), LINES);
  await assert.rejects(ask('getLogs', {...span, query: '('}), {errorCode: 'ParameterInvalid'});
}

async function indexes() {
  const indexDetail = {line: {token: [',', ' '], caseSensitive: false}, keys: {n: {type: 'long', doc_value: true}}};
  await ask('createIndex', {logstoreName: STORE, indexDetail});
  assert.equal((await ask('getIndex', {logstoreName: STORE})).body.keys.n.type, 'long');
  await ask('deleteIndex', {logstoreName: STORE});
}

life().catch((error) => {
  console.error(error);
  process.exit(1);
});
