// ali-oss of npm, unmodified. Arguments: ENDPOINT KEY SECRET VERSION BUCKET STYLE (host, or path as well).
const assert = require('assert');
const http = require('http');
const OSS = require('ali-oss');

const [endpoint, accessKeyId, accessKeySecret, version, name, style] = process.argv.slice(2);
const client = new OSS({
  endpoint, accessKeyId, accessKeySecret, region: 'oss-cn-hangzhou', bucket: name,
  authorizationV4: version === 'v4', sldEnable: style === 'path',
});
const KEY = 'a dir/ü b+c.txt';

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
