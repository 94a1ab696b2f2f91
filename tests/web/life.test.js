'use strict';

/** How long a connection and a token are taken to be good, and what the client does then. */

const assert = require('node:assert/strict');
const { test } = require('node:test');

const Deployd = require('../../web/client/dpd.js');
const { settled, stage } = require('./fakes.js');

const is = (code) => (error) => error instanceof Deployd.DeploydError && error.code === code;

// -- Whether the pod is there -----------------------------------------------------------------

test('a connection that has been silent is asked, and one that does not answer is replaced', async () => {
  const { clock, WebSocket, connect, dpd, told } = stage();
  await connect();
  await clock.pass(24_999);
  assert.equal(WebSocket.last.pings, 0);
  await clock.pass(1);
  assert.equal(WebSocket.last.pings, 1);
  await clock.pass(24_999);
  assert.equal(dpd.socket.connected, true);
  WebSocket.last.dead = true;
  await clock.pass(10_000);
  assert.equal(dpd.socket.connected, true);
  await clock.pass(1);
  const close = { code: 1006, reason: 'no answer to a ping in 10000 ms' };
  assert.deepEqual(told, [
    ['disconnect', { ...close, final: false }],
    ['reconnecting', { attempt: 1, wait: 250, ...close }],
  ]);
  assert.ok(WebSocket.last.closed);
  await clock.pass(250);
  assert.equal(WebSocket.opened.length, 2);
});

test('a connection on which something comes is not asked', async () => {
  const { clock, WebSocket, connect } = stage();
  await connect();
  for (let i = 0; i < 60; i += 1) {
    await clock.pass(2_000);
    await WebSocket.last.say({ type: 'emit', event: 'said', data: i });
  }
  assert.equal(WebSocket.last.pings, 0);
  await clock.pass(26_000);
  assert.equal(WebSocket.last.pings, 1);
});

test('how much silence that takes is set, and without a heartbeat nobody asks', async () => {
  for (const [heartbeat, timeout, asked] of [[5_000, 2_000, 11], [0, 2_000, 0], [Infinity, 1, 0]]) {
    const { clock, WebSocket, connect } = stage({ heartbeat, timeout });
    await connect();
    await clock.pass(59_000);
    assert.equal(WebSocket.last.pings, asked);
  }
});

test('an older pod answers that it does not know a ping, and that is an answer', async () => {
  const { clock, WebSocket, connect, dpd, told } = stage();
  await connect();
  const socket = WebSocket.last;
  socket.dead = true;
  const send = socket.send.bind(socket);
  socket.send = (text) => {
    send(text);
    const { type, id } = JSON.parse(text);
    const refusal = { type: 'error', error: 'Unknown.', data: { code: 'unknown_type' }, id };
    if (type === 'ping') Promise.resolve().then(() => socket.say(refusal));
  };
  await clock.pass(120_000);
  assert.equal(socket.pings, 4);
  assert.deepEqual([dpd.socket.connected, told], [true, []]);
});

test('an answer that does not come has the pod asked at once', async () => {
  const { clock, WebSocket, connect, dpd, told } = stage({ timeout: 1_500 });
  await connect();
  WebSocket.last.dead = true;
  await Promise.all([
    assert.rejects(dpd.socket.emit('said', 1, 'tea'), is('timeout')),
    clock.pass(1_500),
  ]);
  assert.equal(WebSocket.last.pings, 1);
  await clock.pass(1_500);
  assert.equal(told[0][0], 'disconnect');
});

test('a room that does not answer is not a pod that is gone', async () => {
  const { clock, WebSocket, connect, dpd, told } = stage();
  await connect();
  for (let i = 0; i < 3; i += 1) {
    const receipt = dpd.socket.emit('said', i, 'tea');
    await Promise.all([assert.rejects(receipt, is('timeout')), clock.pass(10_000)]);
  }
  assert.ok(WebSocket.last.pings > 0);
  assert.deepEqual(told, []);
});

test('a pod that says nothing more to a token or a greeting is left', async () => {
  const { clock, WebSocket, connect, dpd } = stage({ token: 'a.b.c' });
  await connect();
  WebSocket.last.dead = true;
  await clock.pass(20_250);
  assert.equal(WebSocket.opened.length, 2); // which says nothing at all
  await clock.pass(10_500);
  assert.equal(WebSocket.opened.length, 3);
  assert.equal(dpd.socket.connected, false);
});

test('a page that was frozen reads what came meanwhile before it gives the pod up', async () => {
  const { clock, WebSocket, connect, dpd, told } = stage();
  await connect();
  WebSocket.last.dead = true;
  await clock.pass(25_000);
  const [ping] = clock.timers.filter(({ due }) => due === 35_000);
  clock.time = 600_000; // ten minutes of a lid that is closed
  ping.act();
  clock.clearTimeout(ping);
  assert.deepEqual(told, []);
  await WebSocket.last.say({ type: 'emit', event: 'said', data: 'while you were away' });
  await clock.pass(2_000);
  assert.equal(dpd.socket.connected, true);
  // And a dead one is still found, though timers are late again and again.
  for (let i = 0; i < 4; i += 1) {
    clock.time += 60_000;
    await clock.pass(0);
  }
  assert.equal(dpd.socket.connected, false);
});

test('a page that is seen again, or on a network again, asks at once, until it is closed', async (context) => {
  const listeners = new Map();
  const page = {
    visibilityState: 'hidden',
    addEventListener: (event, act) => listeners.set(event, act),
    removeEventListener: (event, act) => listeners.get(event) === act && listeners.delete(event),
  };
  const { addEventListener, removeEventListener } = page;
  Object.assign(globalThis, { document: page, addEventListener, removeEventListener });
  context.after(() => {
    for (const name of ['document', 'addEventListener', 'removeEventListener']) delete globalThis[name];
  });
  const { clock, WebSocket, connect, dpd } = stage();
  await connect();
  listeners.get('online')();
  assert.equal(WebSocket.last.pings, 0); // it was heard just now
  await clock.pass(2_000);
  listeners.get('visibilitychange')();
  assert.equal(WebSocket.last.pings, 0); // it is hidden
  page.visibilityState = 'visible';
  listeners.get('visibilitychange')();
  assert.equal(WebSocket.last.pings, 1);
  await settled();
  await clock.pass(2_000);
  listeners.get('online')();
  assert.equal(WebSocket.last.pings, 2);
  dpd.close();
  assert.equal(listeners.size, 0);
});

// -- Whether the token is good ------------------------------------------------------------------

test('with a token that is not taken the rooms are asked for as nobody', async () => {
  const { acknowledge, dpd, connect, refuse, sent, told } = stage({ token: 'a.b.c' });
  const expired = [];
  dpd.on('expired', (data) => expired.push(data));
  for (const room of ['tea', 'milk']) dpd.socket.join(room);
  await connect();
  assert.deepEqual(sent(), [['auth', undefined]]);
  await refuse('auth', 'expired_token');
  assert.deepEqual(sent().slice(1), [['join', 'tea'], ['join', 'milk']]);
  assert.deepEqual(expired, [{ code: 'expired_token', message: 'No.' }]);
  await acknowledge();
  assert.deepEqual(told, []);
});

test('a token that nobody hears is not taken is told to the error event', async () => {
  for (const code of ['expired_token', 'bad_token']) {
    const { connect, refuse, reported } = stage({ token: 'a.b.c' });
    await connect();
    await refuse('auth', code);
    assert.deepEqual(reported(), [code]);
  }
});

test('a new token given while being told is the one with which the rooms are asked for', async () => {
  const { dpd, WebSocket, connect, refuse, sent } = stage({ token: 'a.b.c' });
  dpd.on('expired', () => dpd.setToken('new.to.ken'));
  dpd.socket.join('tea');
  await connect();
  await refuse('auth', 'expired_token');
  assert.deepEqual(sent(), [['auth', undefined], ['auth', undefined]]);
  assert.equal(WebSocket.last.sent[1].token, 'new.to.ken');
  await WebSocket.last.answer('auth', { type: 'auth' });
  assert.deepEqual(sent().slice(2), [['join', 'tea']]);
});

test('a function that refreshes is asked for a token, and rooms wait for it', async () => {
  const asked = [];
  let bring;
  const refresh = (error) => {
    asked.push(error.code);
    return new Promise((resolve) => (bring = resolve));
  };
  const { dpd, WebSocket, connect, refuse, sent, told } = stage({ token: 'a.b.c', refresh });
  dpd.socket.join('tea');
  await connect();
  await refuse('auth', 'expired_token');
  assert.deepEqual([asked, sent().length], [['expired_token'], 1]);
  bring('new.to.ken');
  await settled();
  assert.equal(WebSocket.last.sent[1].token, 'new.to.ken');
  assert.equal(dpd.token, 'new.to.ken');
  await WebSocket.last.answer('auth', { type: 'auth' });
  assert.deepEqual(sent().slice(2), [['join', 'tea']]);
  assert.deepEqual([asked.length, told], [1, []]);
});

for (const [how, refresh, codes] of [
  ['brings nothing', () => null, ['expired_token']],
  ['brings no token', async () => ({ token: 'x' }), ['expired_token']],
  ['brings the same', () => 'a.b.c', ['expired_token']],
  ['throws', () => { throw new Error('odd'); }, [undefined, 'expired_token']],
  ['fails', async () => { throw new Error('odd'); }, [undefined, 'expired_token']],
  ['never comes back', () => new Promise(() => {}), ['expired_token']],
]) {
  test(`a refresh that ${how} leaves the client as nobody`, async () => {
    const { clock, connect, dpd, refuse, reported, sent } = stage({ token: 'a.b.c', refresh });
    dpd.socket.join('tea');
    await connect();
    await refuse('auth', 'expired_token');
    await clock.pass(10_000);
    assert.deepEqual(reported(), codes);
    assert.deepEqual(sent().slice(1, 2), [['join', 'tea']]);
    dpd.close();
    assert.deepEqual(clock.timers, []);
  });
}

test('a token that expires on the open connection is refreshed there', async () => {
  const { acknowledge, connect, dpd, sent, WebSocket } = stage({ token: 'a.b.c', refresh: () => 'new.to.ken' });
  dpd.socket.join('tea');
  await connect();
  await WebSocket.last.answer('auth', { type: 'auth' });
  await acknowledge();
  const out = { type: 'leave', room: 'tea', data: { code: 'taken_out', reason: 'token expired' } };
  await WebSocket.last.say(out);
  await WebSocket.last.say({ type: 'error', error: 'Expired.', data: { code: 'expired_token' } });
  await settled();
  assert.equal(WebSocket.last.sent[2].token, 'new.to.ken');
  await WebSocket.last.answer('auth', { type: 'auth' });
  assert.deepEqual(sent()[3], ['join', 'tea']);
});

test('a close because of the token is final only for who cannot refresh it', async () => {
  for (const refresh of [undefined, () => 'new.to.ken']) {
    const { clock, connect, told, WebSocket } = stage({ token: 'a.b.c', refresh });
    await connect();
    await clock.pass(6_000);
    await WebSocket.last.end(4500, 'your token has expired');
    assert.equal(told.find(([event]) => event === 'disconnect')[1].final, !refresh);
    await clock.pass(1_000);
    assert.equal(WebSocket.opened.length, refresh ? 2 : 1);
  }
});

test('a token that comes too fast is shown again', async () => {
  const { clock, connect, dpd, refuse, sent, told, WebSocket } = stage({ token: 'a.b.c' });
  dpd.socket.join('tea');
  await connect();
  await refuse('auth', 'too_fast');
  await clock.pass(999);
  assert.equal(sent().length, 1);
  await clock.pass(1);
  await WebSocket.last.answer('auth', { type: 'auth' });
  assert.deepEqual(sent(), [['auth', undefined], ['auth', undefined], ['join', 'tea']]);
  assert.deepEqual(told, []);
});

test('what was answered to an older token is nobody\'s business any more', async () => {
  const { connect, dpd, refuse, sent, told, WebSocket } = stage({ token: 'a.b.c' });
  dpd.socket.join('tea');
  await connect();
  dpd.setToken('new.to.ken');
  const [first] = WebSocket.last.sent;
  await WebSocket.last.say({ type: 'error', error: 'No.', data: { code: 'expired_token' }, id: first.id });
  assert.deepEqual([sent().length, told], [2, []]);
  await refuse('auth', 'forbidden');
  assert.deepEqual(sent()[2], ['join', 'tea']);
});

test('a room that is wanted while the pod looks at the token waits for its word too', async () => {
  const { connect, dpd, sent, WebSocket } = stage({ token: 'a.b.c' });
  await connect();
  dpd.socket.join('tea');
  dpd.todos.on('created', () => {});
  assert.deepEqual(sent(), [['auth', undefined]]);
  await WebSocket.last.answer('auth', { type: 'auth' });
  assert.deepEqual(sent().slice(1), [['join', 'tea'], ['join', 'collection:todos']]);
});

test('closing while a token is being refreshed, or shown again, leaves nothing running', async () => {
  for (const code of ['expired_token', 'too_fast']) {
    const { clock, connect, dpd, refuse } = stage({ token: 'a.b.c', refresh: () => new Promise(() => {}) });
    await connect();
    await refuse('auth', code);
    dpd.close();
    assert.deepEqual(clock.timers, []);
  }
});
