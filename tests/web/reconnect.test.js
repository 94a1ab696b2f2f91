'use strict';

/** The pod is stopped with 1012 and another opened on its port: test_client.py does that. */

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { clients, next, order, recorder, token } = require('./pod.js');

const ROOMS = ['test-seen-1', 'test-seen-2', 'test-seen-3'];

const TIMEOUT = 60_000;
const HEARTBEAT = 50_000;

/** A clock on which the waits for the next attempt, which it notes, are over at once. */
function hastyClock() {
  const waits = [];
  return {
    waits,
    now: () => Date.now(),
    setTimeout: (act, wait) => {
      if (wait === TIMEOUT || wait === HEARTBEAT) return setTimeout(act, wait);
      waits.push(wait);
      return setImmediate(act);
    },
    clearTimeout: (timer) => {
      clearTimeout(timer);
      clearImmediate(timer);
    },
  };
}

test('a client of a pod that restarts comes back as who it was, into all its rooms in one go', async (context) => {
  const [clock, WebSocket] = [hastyClock(), recorder()];
  const dpd = clients(context)({ clock, timeout: TIMEOUT, heartbeat: HEARTBEAT, WebSocket, token });
  for (const room of ROOMS) await dpd.socket.join(room);
  dpd.todos.on('created', () => {});
  await dpd.socket.join('collection:todos');
  const [gone, waiting] = [next(dpd, 'disconnect'), next(dpd, 'reconnecting')];
  const first = dpd.socket.id;
  const mark = WebSocket.trace.length;

  await order(dpd, 'restart');
  const [{ code, reason, final }] = await gone;
  assert.deepEqual([code, reason, final], [1012, 'retry_after=3.0', false]);
  const [{ wait }] = await waiting;
  assert.ok(wait >= 3000 && wait <= 3500, `waited ${wait} ms`);
  assert.equal(clock.waits[0], wait);
  await assert.rejects(dpd.socket.emit('said', 1, ROOMS[0]), { code: 'disconnected' });

  await next(dpd, 'connect');
  assert.notEqual(dpd.socket.id, first);
  await dpd.socket.join(ROOMS[2]);
  await dpd.socket.join('collection:todos');
  const again = WebSocket.trace.slice(WebSocket.trace.indexOf('in connect', mark));
  const rooms = [...ROOMS, 'collection:todos'];
  const joins = rooms.map((room) => `out join ${room}`);
  assert.deepEqual(again.slice(0, 7), ['in connect', 'out auth', 'in auth', ...joins]);
  const heard = next(dpd.todos, 'created');
  await order(dpd, 'change', { collection: 'todos', event: 'created', document: 1 });
  assert.equal((await heard)[0], 1);
});
