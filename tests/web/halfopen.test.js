'use strict';

/** A network between the client and a real pod that swallows everything, as after sleep or a NAT. */

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const net = require('node:net');
const { test } = require('node:test');

const Deployd = require('../../web/client/dpd.js');
const { next, url } = require('./pod.js');

const FILE = require.resolve('../../web/client/dpd.js');

/** A way to the pod. `freeze` has what is there go silent for ever, `mute` what comes as well. */
async function network(context) {
  const sockets = new Set();
  let [frozen, mute] = [new Set(), false];
  const server = net.createServer((near) => {
    const far = net.connect(new URL(url).port, '127.0.0.1');
    if (mute) frozen.add(near);
    for (const [from, to] of [[near, far], [far, near]]) {
      sockets.add(from);
      from.on('error', () => {});
      from.on('data', (data) => frozen.has(near) || to.write(data));
      from.on('close', () => frozen.has(near) || to.destroy());
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    freeze: () => (frozen = new Set(sockets)),
    mute: () => (mute = true),
  };
}

test('a connection that has died in silence is replaced, and the rooms are joined again', async (context) => {
  const way = await network(context);
  const [dpd, ben] = [new Deployd(way.url, { heartbeat: 200, timeout: 200 }), new Deployd(url)];
  context.after(() => [dpd, ben].forEach((one) => one.close()));
  const first = await dpd.socket.connect();
  await dpd.socket.join('tea');
  const gone = next(dpd, 'disconnect');
  way.freeze();
  const [{ code, reason }] = await gone;
  assert.deepEqual([code, reason], [1006, 'no answer to a ping in 200 ms']);
  assert.notEqual(await dpd.socket.connect(), first);
  await dpd.socket.join('tea');
  await ben.socket.join('tea');
  const heard = next(dpd, 'said');
  await ben.socket.emit('said', 1, 'tea');
  assert.equal((await heard)[0], 1);
});

test('a live connection is asked often and never replaced', async (context) => {
  const way = await network(context);
  const dpd = new Deployd(way.url, { heartbeat: 10, timeout: 5_000 });
  context.after(() => dpd.close());
  const id = await dpd.socket.connect();
  for (let i = 0; i < 50; i += 1) await dpd.socket.emit('said', i, 'test-orders').catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.equal(dpd.socket.id, id);
});

for (const [when, prepare] of [
  ['open and healthy', ''],
  ['open and dead', 'freeze'],
  ['being opened over a dead network', 'mute'],
]) {
  test(`close() ends a Node process whose connection is ${when}`, { timeout: 30_000 }, async (context) => {
    const way = await network(context);
    if (prepare === 'mute') way.mute();
    const program = `
      const dpd = new (require(${JSON.stringify(FILE)}))('${way.url}');
      const wait = ${prepare === 'mute'} ? new Promise((end) => setTimeout(end, 200)) : dpd.socket.join('tea');
      dpd.socket.connect().catch(() => {});
      wait.then(() => console.log('ready'));
      process.stdin.once('data', () => {
        process.stdin.unref();
        process.stdin.destroy();
        dpd.close();
      });`;
    const child = spawn(process.execPath, ['--experimental-websocket', '-e', program], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    context.after(() => child.kill());
    await new Promise((resolve) => child.stdout.once('data', resolve));
    if (prepare === 'freeze') way.freeze();
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.stdin.write('close\n');
    assert.equal(await ended, 0);
  });
}
