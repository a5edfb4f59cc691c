#!/usr/bin/env bash
# koa-compose 4.2.0 copies the list of middleware that it is given; 4.1.0, which the same range of koa 2 allows (^4.1.0),
# read it at each call. So what is added by app.use() after app.callback() or app.listen() was run before, and no longer is:
# a new install of an unchanged koa 2 application that registers its router late answers 404 to everything. Egg does so with
# an application that listens before it is ready.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"private": true, "overrides": {"koa": {"koa-compose": "4.2.0"}}}' > package.json
npm install --silent --no-audit --no-fund koa@2.16.4 older@npm:koa-compose@4.1.0 newer@npm:koa-compose@4.2.0
cat > seen.js <<'P'
const Koa = require('koa');

async function late(name) {
  const list = [(context, next) => next()];
  const run = require(name)(list);
  list.push((context) => { context.found = true; });
  const context = { found: false };
  await run(context);
  return `${require(`${name}/package.json`).version}: middleware added later is run: ${context.found}`;
}

(async () => {
  console.log(await late('older'));
  console.log(await late('newer'));
  const app = new Koa();
  const server = require('http').createServer(app.callback()).listen(0, '127.0.0.1', async () => {
    app.use((context) => { context.body = 'found'; });
    const answer = await fetch(`http://127.0.0.1:${server.address().port}/`);
    console.log(`koa ${require('koa/package.json').version}: ${answer.status}`);
    server.close();
  });
})();
P
node seen.js | tee seen
echo "koa-compose 4.1.0 and 4.2.0, Node.js $(node --version)"
[ "$(cat seen)" = "4.1.0: middleware added later is run: true
4.2.0: middleware added later is run: false
koa 2.16.4: 404" ]
