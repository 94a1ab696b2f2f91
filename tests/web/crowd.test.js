'use strict';

/** More rooms than the pod takes messages a second, and a token that expired meanwhile. */

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { clients, next } = require('./pod.js');

const ROOMS = Array.from({ length: 100 }, (_, i) => `crowd-${i}`);

function count(dpd) {
  return [...dpd.socket._rooms.values()].filter((room) => room.joined).length;
}

/** Lose the connection and come back. */
async function lose(dpd) {
  const back = next(dpd, 'connect');
  dpd.socket._link.close();
  await back;
}

async function until(condition) {
  for (const end = Date.now() + 30_000; !condition(); ) {
    assert.ok(Date.now() < end, 'it did not come about');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test('a client comes into all of its rooms, and back into them, at the pace of the pod', async (context) => {
  const dpd = clients(context)();
  dpd.on('error', (error) => assert.fail(error));
  await Promise.all(ROOMS.map((room) => dpd.socket.join(room)));
  await Promise.all(ROOMS.map((room) => dpd.socket.leave(room)));
  await Promise.all(ROOMS.map((room) => dpd.socket.join(room)));
  await lose(dpd);
  await until(() => count(dpd) === ROOMS.length);
  assert.deepEqual((await dpd.socket.join(ROOMS[99])).room, ROOMS[99]);
});

test('a token that expired while the client was away costs only the rooms that need one', async (context) => {
  const dpd = clients(context)({ token: process.env.DEPLOYD_TOKEN });
  const told = [];
  dpd.on('disconnect', ({ final }) => assert.equal(final, false));
  dpd.on('error', ({ code }) => told.push(code));
  dpd.on('expired', ({ code }) => told.push(code));
  const rooms = ROOMS.map((room, i) => (i % 2 ? room : `members-${i}`));
  await Promise.all(rooms.map((room) => dpd.socket.join(room)));
  dpd._session.token = process.env.DEPLOYD_EXPIRED; // nobody noticed
  await lose(dpd);
  await until(() => told.length === 51);
  await until(() => count(dpd) === 50);
  assert.deepEqual([told[0], ...new Set(told.slice(1))], ['expired_token', 'auth_required']);
  dpd.setToken(process.env.DEPLOYD_TOKEN);
  await until(() => count(dpd) === 100);
});

test('a token that expired while the client was away is refreshed before anything is asked', async (context) => {
  const refresh = async () => process.env.DEPLOYD_TOKEN;
  const dpd = clients(context)({ token: process.env.DEPLOYD_EXPIRED, refresh });
  dpd.on('error', (error) => assert.fail(error));
  for (let i = 0; i < 10; i += 1) dpd.socket.join(`members-${i}`);
  await dpd.socket.join('members-10');
  assert.equal(dpd.token, process.env.DEPLOYD_TOKEN);
});

test('half an emoji, and what is too large, are seen to at once', async (context) => {
  const dpd = clients(context)();
  await dpd.socket.join('tea');
  const id = dpd.socket.id;
  const heard = next(dpd, 'said');
  await dpd.socket.emit('said', 'half \u{1F600}'.slice(0, -1), 'tea');
  assert.equal((await heard)[0], 'half \ufffd');
  await assert.rejects(dpd.socket.emit('said', 'x'.repeat(65_536), 'tea'), { code: 'too_large' });
  await dpd.socket.emit('said', 'x'.repeat(65_000), 'tea');
  assert.equal(dpd.socket.id, id);
});
