// ali-oss of npm, unmodified. Arguments: ENDPOINT KEY SECRET VERSION BUCKET STYLE (host, or path as well)
// CALLBACK (who answers with what he is told).
const assert = require('assert');
const http = require('http');
const OSS = require('ali-oss');

const [endpoint, accessKeyId, accessKeySecret, version, name, style, url] = process.argv.slice(2);
const client = new OSS({
  endpoint, accessKeyId, accessKeySecret, region: 'oss-cn-hangzhou', bucket: name,
  authorizationV4: version === 'v4', sldEnable: style === 'path',
});
const KEY = 'a dir/ü b+c.txt';

const TOLD = '{"object":${object},"size":${size},"who":${x:who}}';
const CALLBACK = {url, body: TOLD, contentType: 'application/json', customValue: {who: 'ada'}};

async function post(fields, key) {  // as a browser sends a form
  const form = new FormData();
  const all = {key, 'Content-Type': 'text/plain', success_action_status: '201', ...fields};
  for (const [field, value] of Object.entries(all)) form.append(field, value);
  form.append('file', new Blob(['by a form'], {type: 'text/plain'}), 'file.txt');
  const answer = await fetch(`${endpoint}/${name}`, {method: 'POST', body: form});
  assert.equal(answer.status, 201, await answer.text());
  assert.equal((await client.get(key)).content.toString(), 'by a form');
  await client.delete(key);
}

async function forms() {
  const conditions = [['starts-with', '$key', 'a form/'], ['content-length-range', 1, 20], {bucket: name}];
  const policy = {expiration: new Date(Date.now() + 60000).toISOString(), conditions};
  await post(client.calculatePostSignature(policy), 'a form/ü');
  if (version !== 'v4') return;
  const now = new Date(), date = now.toISOString().replace(/[-:]|[.][0-9]+/g, '');
  const fields = {
    'x-oss-signature-version': 'OSS4-HMAC-SHA256', 'x-oss-date': date,
    'x-oss-credential': `${accessKeyId}/${date.slice(0, 8)}/cn-hangzhou/oss/aliyun_v4_request`,
  };
  conditions.push(...Object.entries(fields).map(([field, value]) => ({[field]: value})));
  const signature = client.signPostObjectPolicyV4(policy, now);
  const packed = Buffer.from(JSON.stringify(policy)).toString('base64');
  await post({...fields, policy: packed, 'x-oss-signature': signature}, 'a form/4');
}

async function callbacks() {
  const told = await client.put('ü told', Buffer.from('hello'), {callback: CALLBACK});
  assert.deepEqual(told.data, {object: 'ü told', size: 5, who: 'ada'});
  const content = Buffer.alloc(150 * 1024, 'x');
  const many = await client.multipartUpload('ü told', content, {partSize: 102400, callback: CALLBACK});
  assert.deepEqual(many.data, {object: 'ü told', size: content.length, who: 'ada'});
  await client.delete('ü told');
}

function request(url, method, headers, body) {
  return new Promise((resolve, reject) => {
    const parts = new URL(url), {hostname, port} = new URL(endpoint);
    const host = style === 'path' ? parts.host : `${name}.oss-cn-hangzhou.aliyuncs.com`;  // its URL names no bucket
    const options = {hostname, port, path: parts.pathname + parts.search, method, headers: {...headers, host}};
    const sent = http.request(options, (answer) => {
      const pieces = [];
      answer.on('data', (piece) => pieces.push(piece));
      answer.on('end', () => resolve({status: answer.statusCode, body: Buffer.concat(pieces).toString()}));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

async function life() {
  await client.putBucket(name);
  assert((await client.listBuckets({})).buckets.some((each) => each.name === name));
  await client.put(KEY, Buffer.from('0123456789'), {meta: {who: 'ada'}, mime: 'text/plain'});
  assert.equal((await client.get(KEY)).content.toString(), '0123456789');
  assert.equal((await client.get(KEY, {headers: {Range: 'bytes=2-4'}})).content.toString(), '234');
  const head = await client.head(KEY);
  assert.deepEqual([head.meta.who, head.res.headers['content-length']], ['ada', '10']);
  await assert.rejects(client.get('none'), {code: 'NoSuchKey'});
  await callbacks();
  await forms();
  await client.copy('copy', KEY);
  assert.equal((await client.get('copy')).content.toString(), '0123456789');
  const first = await client.append('log', Buffer.from('one,'));
  await client.append('log', Buffer.from('two'), {position: first.nextAppendPosition});
  assert.equal((await client.get('log')).content.toString(), 'one,two');
  const content = Buffer.alloc(250 * 1024, 'x');
  await client.multipartUpload('large', content, {partSize: 102400});
  assert((await client.get('large')).content.equals(content));
  await client.putObjectTagging('copy', {color: 'red'});
  assert.deepEqual((await client.getObjectTagging('copy')).tag, {color: 'red'});
  await client.putACL('copy', 'public-read');
  assert.equal((await client.getACL('copy')).acl, 'public-read');
  await client.putBucketACL(name, 'private');
  assert.equal((await client.getBucketACL(name)).acl, 'private');
  const all = [KEY, 'copy', 'large', 'log'];
  assert.deepEqual((await client.list({'max-keys': 100})).objects.map((each) => each.name), all);
  assert.deepEqual((await client.listV2({'max-keys': 100})).objects.map((each) => each.name), all);
  if (version === 'v4') {  // signatureUrl refuses addresses
    let url = await client.signatureUrlV4('PUT', 60, {headers: {}}, 'signed');
    assert.equal((await request(url, 'PUT', {}, 'by url')).status, 200);
    url = await client.signatureUrlV4('GET', 60, {headers: {}}, 'signed');
    assert.equal((await request(url, 'GET', {})).body, 'by url');
    await client.delete('signed');
  }
  const gone = await client.deleteMulti(all);
  assert.deepEqual(gone.deleted.map((each) => each.Key || each).sort(), [...all].sort());
  await client.deleteBucket(name);
  await assert.rejects(client.getBucketInfo(name), {code: 'NoSuchBucket'});
}

life().catch((error) => { console.error(error); process.exit(1); });
