'use strict';

/** The socket in time, and on what a pod seldom says: here the test is the pod. */

const assert = require('node:assert/strict');
const { beforeEach, mock, test } = require('node:test');

const Deployd = require('../../transport/http/static/dpd.js');
const { FakeClock, fakeWebSockets, settled } = require('./fakes.js');

let clock, WebSocket, dpd, told;

beforeEach(() => {
  [clock, WebSocket] = [new FakeClock(), fakeWebSockets()];
  dpd = client();
});

function client(options) {
  const made = new Deployd('http://pod:2403', { clock, WebSocket, random: () => 0.5, ...options });
  told = [];
  for (const event of ['disconnect', 'reconnecting', 'error']) {
    made._listeners.add(event, (data) => told.push([event, data])); // `on` would connect
  }
  return made;
}

const sent = () => WebSocket.last.sent.map(({ type, room, event }) => [type, room || event]);
const reported = () => told.filter(([event]) => event === 'error').map(([, { code }]) => code);
const is = (code) => (error) => error instanceof Deployd.DeploydError && error.code === code;

test('nothing is opened before it is needed, and then only once', async () => {
  assert.equal(WebSocket.opened.length, 0);
  dpd.todos.on('created', () => {});
  dpd.on('said', () => {});
  dpd.socket.join('tea');
  assert.equal(WebSocket.opened.length, 1);
  assert.equal(WebSocket.last.url, 'ws://pod:2403/socket.io/');
});

test('an address with https and a path is kept', () => {
  new Deployd('https://example.com/pod/', { clock, WebSocket }).socket.connect();
  assert.equal(WebSocket.last.url, 'wss://example.com/pod/socket.io/');
});

test('the token goes first and then all rooms, waiting for nothing in between', async () => {
  dpd.setToken('a.b.c');
  for (const room of ['tea', 'milk']) dpd.socket.join(room);
  dpd.todos.on('changed', () => {});
  assert.deepEqual(sent(), []);
  await WebSocket.last.greet();
  assert.deepEqual(sent(), [
    ['auth', undefined],
    ['join', 'tea'],
    ['join', 'milk'],
    ['join', 'collection:todos'],
  ]);
  assert.equal(WebSocket.last.sent[0].token, 'a.b.c');
});

test('a room is joined for its first listener and left by its last', async () => {
  const [first, second] = [() => {}, () => {}];
  dpd.todos.on('created', first).on('updated', second).on('created', second);
  await WebSocket.last.greet();
  dpd.todos.once('deleted', first);
  assert.deepEqual(sent(), [['join', 'collection:todos']]);
  await WebSocket.last.answer('join', { type: 'join', room: 'collection:todos' });
  dpd.todos.off('created', first);
  dpd.todos.off('created', second);
  dpd.todos.off('updated');
  assert.equal(sent().length, 1);
  await WebSocket.last.say({ type: 'emit', event: 'deleted', room: 'collection:todos', data: {} });
  assert.deepEqual(sent()[1], ['leave', 'collection:todos']);
  dpd.todos.off();
  assert.equal(sent().length, 2);
});

test('a room that the application joined stays when the last listener goes', async () => {
  const listener = () => {};
  dpd.socket.join('collection:todos');
  dpd.todos.on('created', listener);
  await WebSocket.last.greet();
  dpd.todos.off('created', listener);
  assert.deepEqual(sent(), [['join', 'collection:todos']]);
  dpd.socket.leave('collection:todos');
  assert.deepEqual(sent()[1], ['leave', 'collection:todos']);
});

test('who leaves is out when the connection ends before the answer', async () => {
  await connected();
  dpd.socket.join('tea');
  await acknowledge('tea');
  const left = dpd.socket.leave('tea');
  WebSocket.last.end(1006);
  assert.equal((await left).type, 'leave');
});

test('joining twice is joining once, and both are answered', async () => {
  const both = [dpd.socket.join('tea'), dpd.socket.join('tea')];
  await WebSocket.last.greet();
  both.push(dpd.socket.join('tea'));
  await WebSocket.last.answer('join', { type: 'join', room: 'tea' });
  both.push(dpd.socket.join('tea'));
  for (const answer of await Promise.all(both)) assert.equal(answer.room, 'tea');
  assert.equal(sent().length, 1);
});

test('a room left before it was joined is not asked for', async () => {
  const joined = dpd.socket.join('tea');
  assert.deepEqual(await dpd.socket.leave('tea'), { type: 'leave', room: 'tea' });
  await assert.rejects(joined, is('left'));
  dpd.todos.on('created', () => {}).off();
  await WebSocket.last.greet();
  assert.deepEqual(sent(), []);
  assert.deepEqual(told, []);
});

test('an emit without a connection fails at once and is never sent', async () => {
  await assert.rejects(dpd.socket.emit('said', 1, 'tea'), is('disconnected'));
  await WebSocket.last.greet();
  assert.deepEqual(sent(), []);
  WebSocket.last.end(1006);
  await assert.rejects(dpd.socket.emit('said', 2, 'tea'), is('disconnected'));
  await settled();
  assert.deepEqual(reported(), []); // it was awaited
});

test('an emit whose receipt does not come before the end says that nobody knows', async () => {
  await connected();
  const receipt = dpd.socket.emit('said', 1, 'tea');
  WebSocket.last.end(1006);
  await assert.rejects(receipt, { code: 'disconnected', message: /nobody knows/ });
});

test('an answer that does not come is given up in time', async () => {
  await connected();
  const receipt = dpd.socket.emit('said', 1, 'tea');
  receipt.catch(() => {});
  await clock.pass(9_999);
  assert.equal(clock.timers.length, 1);
  await clock.pass(1);
  await assert.rejects(receipt, is('timeout'));
  await WebSocket.last.answer('emit', { type: 'receipt', data: {} }); // too late, and harmless
  assert.equal(clock.timers.length, 0);
});

test('a join that the pod has dropped is asked for again, three times in all', async () => {
  await connected();
  const joined = dpd.socket.join('tea');
  joined.catch(() => {});
  await clock.pass(29_999);
  assert.equal(sent().length, 3);
  await clock.pass(1);
  await assert.rejects(joined, is('timeout'));
  assert.equal(sent().length, 3);
});

test('the tries of a join begin anew with each connection', async () => {
  await connected();
  const joined = dpd.socket.join('tea');
  await clock.pass(20_000);
  await acknowledge('tea', 2);
  assert.equal((await joined).room, 'tea');
  WebSocket.last.end(1006);
  await clock.pass(250);
  await WebSocket.last.greet();
  await clock.pass(29_999);
  assert.equal(sent().length, 3);
});

test('who leaves and joins again before the answers come is in', async () => {
  await connected();
  const first = dpd.socket.join('tea');
  const failed = assert.rejects(first, is('room_busy'));
  dpd.socket.leave('tea');
  const second = dpd.socket.join('tea');
  const [{ id }] = WebSocket.last.sent;
  await WebSocket.last.say({ type: 'error', error: 'Busy.', data: { code: 'room_busy' }, id });
  await failed;
  await acknowledge('tea', 1);
  assert.equal((await second).room, 'tea');
  WebSocket.last.end(1006);
  await clock.pass(250);
  await WebSocket.last.greet();
  assert.deepEqual(sent(), [['join', 'tea']]);
});

test('the rooms are not told of before the pod greets, and it must do so in time', async () => {
  dpd.socket.join('tea');
  await clock.pass(10_000);
  assert.ok(WebSocket.opened[0].closed);
  assert.equal(told[0][1].reason, 'no greeting in 10000 ms');
  await clock.pass(250);
  assert.equal(WebSocket.opened.length, 2);
  await WebSocket.last.greet();
  await clock.pass(9_000);
  assert.deepEqual(sent(), [['join', 'tea']]);
});

test('the waits grow with each failure, and a connection that lasted resets them', async () => {
  dpd.socket.connect();
  for (const wait of [250, 500, 1000]) {
    WebSocket.last.onerror({ message: 'refused' });
    assert.deepEqual(told.pop()[1].wait, wait);
    const before = WebSocket.opened.length;
    await clock.pass(wait - 1);
    assert.equal(WebSocket.opened.length, before);
    await clock.pass(1);
    assert.equal(WebSocket.opened.length, before + 1);
  }
  assert.deepEqual(told, []); // there was nothing to be disconnected from
  await WebSocket.last.greet();
  await clock.pass(5_000);
  WebSocket.last.end(1012, 'retry_after=4');
  const close = { code: 1012, reason: 'retry_after=4' };
  assert.deepEqual(told, [
    ['disconnect', { ...close, final: false }],
    ['reconnecting', { attempt: 1, wait: 4250, ...close }],
  ]);
});

test('what a connection that has gone still says is not heard', async () => {
  await connected();
  const old = WebSocket.last;
  old.end(1006);
  await clock.pass(250);
  old.end(4500);
  old.say({ type: 'connect', data: {} });
  assert.equal(dpd.socket.connected, false);
  assert.equal(WebSocket.opened.length, 2);
});

test('an error on an open connection is not its end: the close that follows says why', async () => {
  await connected();
  WebSocket.last.onerror({ message: 'invalid frame' });
  assert.deepEqual(told, []);
  WebSocket.last.end(1009, 'too big');
  assert.deepEqual(told[0], ['disconnect', { code: 1009, reason: 'too big', final: false }]);
});

test('a connection wished for now does not wait', async () => {
  await connected();
  WebSocket.last.end(1006);
  const id = dpd.socket.connect();
  assert.equal(WebSocket.opened.length, 2);
  await WebSocket.last.greet('c2');
  assert.equal(await id, 'c2');
  assert.equal(dpd.socket.id, 'c2');
  assert.equal(clock.timers.length, 0);
});

test('a final close ends all attempts, and everybody who waits is told', async () => {
  const joined = dpd.socket.join('tea');
  const greeted = dpd.socket.connect();
  WebSocket.last.end(4502, 'too many errors');
  assert.deepEqual(told.map(([event, { final }]) => [event, final]), [
    ['error', undefined],
    ['disconnect', true],
  ]);
  for (const promise of [joined, greeted, dpd.socket.emit('x', 1, 'tea')]) {
    await assert.rejects(promise, { code: 'refused', closeCode: 4502, message: /too many errors/ });
  }
  await clock.pass(1e6);
  assert.equal(WebSocket.opened.length, 1);
});

test('after a final close a new token brings the client and its rooms back', async () => {
  await connected();
  dpd.todos.on('created', () => {});
  dpd.socket.join('tea');
  for (const room of ['collection:todos', 'tea']) await acknowledge(room);
  await WebSocket.last.end(4500, 'your token has expired');
  dpd.setToken('new.to.ken');
  await WebSocket.last.greet();
  assert.deepEqual(sent(), [
    ['auth', undefined],
    ['join', 'collection:todos'],
    ['join', 'tea'],
  ]);
});

test('a refused join without await is told to the error event, and one with await is not', async () => {
  await connected();
  const refusal = { type: 'error', error: 'Only root may.', data: { code: 'forbidden' } };
  dpd.socket.join('a');
  await WebSocket.last.answer('join', refusal);
  await settled();
  assert.deepEqual(reported(), ['forbidden']);
  const joined = dpd.socket.join('b');
  const failed = assert.rejects(joined, { code: 'forbidden', message: 'Only root may.' });
  await WebSocket.last.answer('join', refusal);
  await failed;
  assert.equal(reported().length, 1);
  WebSocket.last.end(1006);
  await clock.pass(250);
  await WebSocket.last.greet();
  assert.deepEqual(sent(), []); // who was told so may ask again by itself
});

test('a listener whose room was refused is heard after signing in', async () => {
  await connected();
  dpd.todos.on('created', () => {});
  const refusal = { type: 'error', error: 'Sign in first.', data: { code: 'auth_required' } };
  await WebSocket.last.answer('join', refusal);
  await settled();
  assert.deepEqual(reported(), ['auth_required']);
  dpd.setToken('a.b.c');
  await WebSocket.last.answer('auth', { type: 'auth', data: { authenticated: true } });
  assert.deepEqual(sent(), [
    ['join', 'collection:todos'],
    ['auth', undefined],
    ['join', 'collection:todos'],
  ]);
});

test('a token that the pod refuses is told to the error event', async () => {
  await connected();
  dpd.setToken('a.b.c');
  await WebSocket.last.answer('auth', { type: 'error', error: 'Expired.', data: { code: 'expired_token' } });
  assert.deepEqual(reported(), ['expired_token']);
});

test('a token whose answer the end of the connection swallows is shown again', async () => {
  await connected();
  dpd.setToken('a.b.c');
  await WebSocket.last.end(1006);
  await settled();
  assert.deepEqual(reported(), []);
  await clock.pass(250);
  await WebSocket.last.greet();
  assert.deepEqual(sent(), [['auth', undefined]]);
});

test('a room that the pod takes a client out of is asked for after signing in', async () => {
  await connected();
  dpd.socket.join('tea');
  for (const room of ['tea', 'milk']) await WebSocket.last.say({ type: 'leave', room });
  assert.deepEqual(reported(), []); // it was in neither
  await acknowledge('tea');
  await WebSocket.last.say({ type: 'leave', room: 'tea' });
  assert.deepEqual(reported(), ['taken_out']);
  dpd.setToken('a.b.c');
  await WebSocket.last.answer('auth', { type: 'auth' });
  assert.deepEqual(sent().pop(), ['join', 'tea']);
});

test('signing out starts anew, as nobody', async () => {
  dpd.setToken('a.b.c');
  dpd.socket.join('tea');
  await WebSocket.last.greet();
  await dpd.logout();
  assert.ok(WebSocket.opened[0].closed);
  await WebSocket.last.greet();
  assert.deepEqual(sent(), [['join', 'tea']]);
});

test('an error that answers nothing is told to the error event', async () => {
  await connected();
  await WebSocket.last.say({ type: 'error', error: 'Slow down.', data: { code: 'too_fast' } });
  await WebSocket.last.say({ type: 'emit', event: 'said', error: 'Odd.', id: 99 });
  assert.deepEqual(reported(), ['too_fast', undefined]);
});

test('what is not a JSON object is told to the error event, and unknown types to nobody', async () => {
  await connected();
  for (const data of ['[]', 'nonsense', '{}\n{}', new ArrayBuffer(1)]) WebSocket.last.onmessage({ data });
  assert.equal(told.length, 4);
  await WebSocket.last.say({ type: 'brand-new' });
  assert.equal(told.length, 4);
});

test('a listener that throws does not keep the others from being called', async () => {
  const heard = [];
  const bug = new Error('a bug of the application');
  dpd.on('said', () => {
    throw bug;
  });
  dpd.on('said', async () => {
    throw new Error('later');
  });
  dpd.on('said', (data) => heard.push(data));
  await WebSocket.last.greet();
  await WebSocket.last.say({ type: 'emit', event: 'said', data: 1 });
  assert.deepEqual(heard, [1]);
  assert.deepEqual(told.map(([, { message }]) => message), [bug.message, 'later']);
});

test('an error that nobody listens for, or whose listener throws, is on the console', async (context) => {
  const error = mock.method(console, 'error', () => {});
  context.after(() => error.mock.restore());
  const printed = () => error.mock.calls.map(({ arguments: [first] }) => first.message);
  dpd = new Deployd('http://pod', { clock, WebSocket });
  dpd.socket.connect();
  await WebSocket.last.say({ type: 'error', error: 'Slow down.' });
  assert.deepEqual(printed(), ['Slow down.']);
  dpd.on('error', async () => {
    throw new Error('in circles');
  });
  await WebSocket.last.say({ type: 'error', error: 'Slow down.' });
  assert.deepEqual(printed(), ['Slow down.', 'in circles']);
});

test('changes come by either type to the listeners of their collection alone', async () => {
  const heard = [];
  const hear = (name) => (document, type) => heard.push([name, type, document]);
  dpd.todos.on('created', hear('created')).on('changed', hear('changed'));
  dpd.users.on('changed', hear('users'));
  dpd.collections.on('changed', hear('collections'));
  dpd.on('created', hear('custom')).on('archived', hear('custom'));
  await WebSocket.last.greet();
  assert.deepEqual(sent().map(([, room]) => room), ['collection:todos', 'collection:users', 'collections']);
  const say = (type, event, room, data) => WebSocket.last.say({ type, event, room, data });
  await say('emit', 'created', 'collection:todos', 1);
  await say('collection:change', 'updated', 'collection:todos', 2);
  await say('emit', 'deleted', 'collections', 3);
  await say('emit', 'created', 'tea', 4);
  await say('emit', 'deleted', 'collection:unheard', 5);
  await say('emit', 'archived', 'collection:todos', 6);
  assert.deepEqual(heard.map(([name, type, document]) => [name, name === 'custom' ? '-' : type, document]), [
    ['created', 'created', 1],
    ['changed', 'created', 1],
    ['changed', 'updated', 2],
    ['collections', 'deleted', 3],
    ['custom', '-', 4],
    ['custom', '-', 6],
  ]);
});

test('a collection has no other events than changes', () => {
  assert.throws(() => dpd.todos.on('create', () => {}), /'create' is none of created, updated/);
  assert.throws(() => dpd.todos.on('created'), /Give a function for 'created'/);
  assert.throws(() => dpd.on('said', 'no function'), /Give a function for 'said'/);
});

test('nobody can pass an event of theirs off as one of the client', async () => {
  for (const event of ['connect', 'degraded', 'healed']) dpd.on(event, () => told.push([event]));
  await WebSocket.last.greet();
  told = [];
  for (const event of ['connect', 'disconnect', 'degraded', 'healed', 'error', 'reconnecting']) {
    await WebSocket.last.say({ type: 'emit', event, data: {}, room: 'tea' });
  }
  assert.deepEqual(reported(), Array(6).fill('event_name'));
  assert.equal(told.length, 6);
});

test('a closed client sends, waits for and tries nothing any more', async () => {
  await connected();
  const receipt = dpd.socket.emit('said', 1, 'tea');
  const joined = dpd.socket.join('tea');
  dpd.close();
  dpd.close();
  assert.ok(WebSocket.last.closed);
  assert.deepEqual(told.map(([event, { final }]) => [event, final]), [['disconnect', true]]);
  await assert.rejects(receipt, is('disconnected'));
  await assert.rejects(joined, is('closed'));
  await assert.rejects(dpd.socket.connect(), is('closed'));
  await assert.rejects(dpd.socket.join('milk'), is('closed'));
  dpd.setToken('a.b.c');
  await clock.pass(1e6);
  assert.deepEqual([clock.timers, WebSocket.opened.length], [[], 1]);
});

test('closing while waiting for the next attempt makes it the last', async () => {
  await connected();
  WebSocket.last.end(1006);
  dpd.close();
  await clock.pass(1e6);
  assert.deepEqual([clock.timers, WebSocket.opened.length], [[], 1]);
});

test('the number of unanswered requests is bounded', async () => {
  await connected();
  for (let i = 0; i < 10_000; i += 1) dpd.socket.emit('n', i, 'tea').catch(() => {});
  await assert.rejects(dpd.socket.emit('n', 10_000, 'tea'), is('busy'));
  assert.equal(WebSocket.last.sent.length, 10_000);
});

test('where there is no WebSocket the error names three remedies', async (context) => {
  const known = globalThis.WebSocket;
  context.after(() => (globalThis.WebSocket = known));
  delete globalThis.WebSocket;
  dpd = client({ WebSocket: undefined });
  const joined = dpd.socket.join('tea');
  await assert.rejects(joined, /Node 22.*\{ WebSocket \}.*npm install ws/);
  dpd.todos.on('created', () => {});
  await settled();
  assert.deepEqual(reported(), ['no_websocket']);
});

test('the wait for the next attempt keeps a Node process running', () => {
  const file = JSON.stringify(require.resolve('../../transport/http/static/dpd.js'));
  const program = `
    const WebSocket = class { constructor() { setImmediate(() => this.onclose({ code: 1006 })); } close() {} };
    const dpd = new (require(${file}))('http://pod', { WebSocket, random: () => 0.001 });
    dpd.once('reconnecting', () => dpd.on('reconnecting', ({ attempt }) => {
      console.log('attempt', attempt);
      dpd.close();
    }));`;
  const { stdout, status } = require('node:child_process').spawnSync(process.execPath, ['-e', program]);
  assert.deepEqual([String(stdout), status], ['attempt 2\n', 0]);
});

async function connected() {
  dpd.socket.connect();
  await WebSocket.last.greet();
}

/** Acknowledge a join, or the one so many later into the same room. */
async function acknowledge(room, later = 0) {
  const joins = WebSocket.last.sent.filter((one) => one.type === 'join' && one.room === room);
  await WebSocket.last.say({ type: 'join', room, id: joins[later].id });
}
