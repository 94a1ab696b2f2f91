'use strict';

/** The socket in time, and on what a pod seldom says: here the test is the pod. */

const assert = require('node:assert/strict');
const { beforeEach, mock, test } = require('node:test');

const Deployd = require('../../web/client/dpd.js');
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

test('the token goes first, and when the pod has taken it all rooms', async () => {
  dpd.setToken('a.b.c');
  for (const room of ['tea', 'milk']) dpd.socket.join(room);
  dpd.todos.on('changed', () => {});
  assert.deepEqual(sent(), []);
  await WebSocket.last.greet();
  assert.deepEqual(sent(), [['auth', undefined]]);
  await signedIn();
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
  await acknowledge('collection:todos');
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

test('a receipt brings the answer of the room, and a refusal what it says to programs', async () => {
  await connected();
  const bid = dpd.socket.emit('bid', { amount: 5 }, 'tea');
  const answer = { user: 'ann', amount: 5 };
  await WebSocket.last.answer('emit', { type: 'receipt', data: { scope: 'local', id: 'e', answer } });
  assert.deepEqual((await bid).answer, answer);
  const low = dpd.socket.emit('bid', { amount: 4 }, 'tea');
  const data = { code: 'too_low', least: 6 };
  await WebSocket.last.answer('emit', { type: 'error', error: 'Bid more.', data, room: 'tea' });
  await assert.rejects(low, { code: 'too_low', message: 'Bid more.', data: { least: 6 } });
  assert.equal('data' in new Deployd.DeploydError('x', 'y'), false);
});

test('a room is told what a join brings, again after each reconnection', async () => {
  await connected();
  dpd.socket.join('tea', { seat: 3 });
  assert.deepEqual(WebSocket.last.sent.at(-1).data, { seat: 3 });
  await WebSocket.last.answer('join', { type: 'join', room: 'tea' });
  dpd.socket.leave('tea');
  assert.equal(WebSocket.last.sent.at(-1).data, undefined);
});

test('an answer that does not come is given up in time', async () => {
  await connected();
  const receipt = dpd.socket.emit('said', 1, 'tea');
  receipt.catch(() => {});
  await clock.pass(9_999);
  const timers = clock.timers.length;
  await clock.pass(1);
  await assert.rejects(receipt, is('timeout'));
  await WebSocket.last.answer('emit', { type: 'receipt', data: {} }); // too late, and harmless
  assert.equal(clock.timers.length, timers - 1);
});

test('a join that the pod has dropped is asked for again, three times in all', async () => {
  await connected();
  const joined = dpd.socket.join('tea');
  joined.catch(() => {});
  await clock.pass(30_749); // with waits of 250 and 500 ms
  assert.equal(sent().length, 3);
  await clock.pass(1);
  await assert.rejects(joined, is('timeout'));
  await clock.pass(1e6);
  assert.equal(sent().length, 3);
});

test('a room that we have been in is asked for until we are in it again', async () => {
  await connected();
  dpd.socket.join('tea');
  await acknowledge('tea');
  await lostAndFound();
  const refusal = { type: 'error', error: 'Busy.', data: { code: 'room_busy', retryAfter: 3 } };
  for (let i = 0; i < 5; i += 1) {
    await WebSocket.last.answer('join', refusal);
    assert.equal(sent().length, i + 1);
    await clock.pass(5_000);
    assert.equal(sent().length, i + 2);
  }
  assert.deepEqual(reported(), ['room_busy']); // told once, at the third
  await clock.pass(60_000); // nor does silence end it
  assert.ok(sent().length >= 8);
  await acknowledge('tea', sent().length - 1);
  assert.equal((await dpd.socket.join('tea')).room, 'tea');
});

test('the tries of a join begin anew with each connection', async () => {
  await connected();
  const joined = dpd.socket.join('tea');
  await clock.pass(20_750);
  await acknowledge('tea', 2);
  assert.equal((await joined).room, 'tea');
  await lostAndFound();
  assert.equal(sent().length, 1);
  await clock.pass(30_749);
  assert.equal(sent().length, 3);
  assert.deepEqual(reported(), []);
});

test('who leaves and joins again before the answers come is in', async () => {
  await connected();
  const first = dpd.socket.join('tea');
  const failed = assert.rejects(first, is('left'));
  const left = dpd.socket.leave('tea');
  const second = dpd.socket.join('tea');
  assert.equal((await left).type, 'leave');
  await failed;
  assert.equal(sent().length, 1);
  await acknowledge('tea');
  assert.equal((await second).room, 'tea');
  await lostAndFound();
  assert.deepEqual(sent(), [['join', 'tea']]);
});

test('who is in, leaves and joins again goes out and comes in', async () => {
  await connected();
  dpd.socket.join('tea');
  await acknowledge('tea');
  const left = dpd.socket.leave('tea');
  const joined = dpd.socket.join('tea');
  assert.deepEqual(sent().slice(1), [['leave', 'tea']]);
  await WebSocket.last.answer('leave', { type: 'leave', room: 'tea' });
  assert.equal((await left).type, 'leave');
  assert.deepEqual(sent().slice(2), [['join', 'tea']]);
  await acknowledge('tea', 1);
  assert.equal((await joined).room, 'tea');
});

test('who leaves a room that it is still coming into is out in the end', async () => {
  await connected();
  dpd.socket.join('tea').catch(() => {});
  const left = dpd.socket.leave('tea');
  await acknowledge('tea');
  await WebSocket.last.answer('leave', { type: 'leave', room: 'tea' });
  assert.equal((await left).type, 'leave');
  assert.deepEqual(sent(), [['join', 'tea'], ['leave', 'tea']]);
  await lostAndFound();
  assert.deepEqual(sent(), []);
});

test('a leave that comes too fast is said again, or the pod would go on telling', async () => {
  await connected();
  dpd.socket.join('tea');
  await acknowledge('tea');
  const left = dpd.socket.leave('tea');
  await WebSocket.last.answer('leave', tooFast('tea'));
  await clock.pass(1_000);
  assert.deepEqual(sent().slice(1), [['leave', 'tea'], ['leave', 'tea']]);
  await WebSocket.last.answer('leave', { type: 'leave', room: 'tea' });
  assert.equal((await left).room, 'tea');
  assert.deepEqual(reported(), []);
});

test('a leave that is refused is told to who left', async () => {
  await connected();
  dpd.socket.join('tea');
  await acknowledge('tea');
  const left = dpd.socket.leave('tea');
  await Promise.all([
    assert.rejects(left, is('auth_required')),
    WebSocket.last.answer('leave', { type: 'error', error: 'Sign in.', data: { code: 'auth_required' } }),
  ]);
});

test('of many rooms a few are asked for at once, and more with each answer', async () => {
  for (let i = 0; i < 100; i += 1) dpd.socket.join(`room-${i}`);
  await WebSocket.last.greet();
  assert.equal(sent().length, 16);
  await acknowledge('room-3');
  assert.equal(sent().length, 17);
  for (let i = 0; i < 100; i += 1) if (i !== 3) await acknowledge(`room-${i}`);
  assert.equal(sent().length, 100);
});

test('a pod that takes ten messages a second has all rooms in the end, and is hardly bothered', async () => {
  const joined = [];
  for (let i = 0; i < 100; i += 1) joined.push(dpd.socket.join(`room-${i}`));
  await WebSocket.last.greet();
  let [tokens, refused, answered] = [10, 0, 0];
  for (let time = 0; time < 60_000 && answered < 100 + refused; time += 50) {
    tokens = Math.min(10, tokens + 0.5);
    for (; answered < WebSocket.last.sent.length; answered += 1) {
      const { id, room } = WebSocket.last.sent[answered];
      const passes = tokens >= 1;
      tokens -= passes ? 1 : 0;
      refused += passes ? 0 : 1;
      await WebSocket.last.say(passes ? { type: 'join', room, id } : { ...tooFast(room), id });
    }
    await clock.pass(50);
  }
  assert.equal((await Promise.all(joined)).length, 100);
  assert.ok(clock.time < 25_000, `it took ${clock.time} ms`);
  assert.ok(refused < 100, `${refused} were refused`);
  assert.deepEqual(reported(), []);
});

test('too fast without an id, as older pods say it, slows the joins down too', async () => {
  await connected();
  dpd.socket.join('tea').catch(() => {});
  await WebSocket.last.say({ type: 'error', error: 'Slow down.', data: { code: 'too_fast' } });
  dpd.socket.join('milk').catch(() => {});
  assert.equal(sent().length, 1);
  await clock.pass(1_000);
  assert.deepEqual(sent()[1], ['join', 'milk']);
});

test('an emit that comes too fast says when to come again', async () => {
  await connected();
  const receipt = dpd.socket.emit('said', 1, 'tea');
  await Promise.all([
    assert.rejects(receipt, { code: 'too_fast', room: 'tea', retryAfter: 0.25 }),
    WebSocket.last.answer('emit', tooFast('tea')),
  ]);
});

test('a room that has ended is the application\'s to join again, and a listener\'s is joined', async () => {
  await connected();
  dpd.socket.join('tea');
  dpd.socket.join('collection:todos');
  dpd.todos.on('created', () => {});
  for (const room of ['tea', 'collection:todos']) await acknowledge(room);
  const ended = (room) => ({ type: 'error', error: 'It ended.', room, data: { code: 'room_closed' } });
  for (const room of ['tea', 'collection:todos', 'never-heard-of']) await WebSocket.last.say(ended(room));
  assert.deepEqual(told.map(([, { code, room }]) => [code, room]), [
    ['room_closed', 'tea'],
    ['room_closed', 'collection:todos'],
    ['room_closed', 'never-heard-of'],
  ]);
  assert.equal(sent().length, 2);
  await clock.pass(250);
  assert.deepEqual(sent().slice(2), [['join', 'collection:todos']]);
  const joined = dpd.socket.join('tea');
  assert.deepEqual(sent().slice(3), [['join', 'tea']]);
  await acknowledge('tea', 1);
  assert.equal((await joined).room, 'tea');
});

test('a room that has ended while it was joined anew is joined', async () => {
  await connected();
  dpd.socket.join('tea');
  await acknowledge('tea');
  dpd.socket.leave('tea');
  const joined = dpd.socket.join('tea');
  await WebSocket.last.say({ type: 'error', error: 'It ended.', room: 'tea', data: { code: 'room_closed' } });
  await WebSocket.last.answer('leave', { type: 'leave', room: 'tea' });
  await acknowledge('tea', 1);
  assert.equal((await joined).room, 'tea');
  assert.equal(sent().length, 3);
});

test('a collection whose room ends again and again is not joined in a storm', async () => {
  await connected();
  dpd.todos.on('created', () => {});
  for (let i = 0; i < 200; i += 1) {
    const { type, room, id } = WebSocket.last.sent[WebSocket.last.sent.length - 1];
    await WebSocket.last.say({ type, room, id });
    await WebSocket.last.say({ type: 'error', error: 'It ended.', room, data: { code: 'room_closed' } });
    await clock.pass(100);
  }
  assert.ok(sent().length < 12, `${sent().length} joins in 20 s`);
});

test('listeners whose room is busy or ends as they come are heard in the end', async () => {
  await connected();
  dpd.todos.on('created', () => {});
  const joined = dpd.socket.join('collection:todos');
  const refused = assert.rejects(joined, { code: 'room_busy' }); // the application asks by itself
  for (const code of ['room_busy', 'room_closed', 'room_crashed', 'timeout', 'room_closed']) {
    await WebSocket.last.answer('join', { type: 'error', error: 'No.', data: { code } });
    const asked = sent().length;
    await clock.pass(5_000);
    assert.equal(sent().length, asked + 1, code);
  }
  await refused;
  assert.deepEqual(reported(), ['room_crashed']); // told once, at the third
  await acknowledge('collection:todos', sent().length - 1);
  await clock.pass(20_000);
  assert.equal(sent().length, 6);
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
  for (let i = 0; i < 5; i += 1) await failedAttempt();
  assert.equal(WebSocket.opened.length, 6);
  await clock.pass(1_000);
  const id = dpd.socket.connect();
  assert.equal(WebSocket.opened.length, 7);
  await WebSocket.last.greet('c2');
  assert.equal(await id, 'c2');
  assert.equal(dpd.socket.id, 'c2');
  await clock.pass(16_000);
  assert.equal(WebSocket.opened.length, 7);
});

for (const event of ['disconnect', 'reconnecting', 'error']) {
  test(`connect() in a listener of '${event}' keeps the backoff, and what the pod asks for`, async () => {
    await connected();
    const again = () => dpd.socket.connect().catch(() => {});
    dpd.on(event, again);
    dpd.on(event, async () => again(await settled()));
    dpd.on(event, () => clock.setTimeout(again, 900));
    await WebSocket.last.say({ type: 'error', error: 'Odd.' });
    for (const [wait, code, reason] of [[250, 1006], [500, 1006], [11_000, 1012, 'retry_after=10']]) {
      const before = WebSocket.opened.length;
      await WebSocket.last.end(code, reason);
      await clock.pass(wait - 1);
      assert.equal(WebSocket.opened.length, before);
      await clock.pass(1);
      assert.equal(WebSocket.opened.length, before + 1);
      await WebSocket.last.greet();
    }
  });
}

test('connect() does not shorten what the pod asks for', async () => {
  await connected();
  await WebSocket.last.end(1012, 'retry_after=10');
  await clock.pass(9_999);
  dpd.socket.connect();
  assert.equal(WebSocket.opened.length, 1);
  await clock.pass(1);
  dpd.socket.connect();
  assert.equal(WebSocket.opened.length, 2);
});

test('a pod that closes for good each time is not stormed by a listener', async () => {
  dpd.on('disconnect', () => dpd.socket.connect().catch(() => {}));
  for (let time = 0; time < 20_000; time += 50) {
    if (!WebSocket.last.closed) await WebSocket.last.end(4502);
    await clock.pass(50);
  }
  assert.ok(WebSocket.opened.length < 10, `${WebSocket.opened.length} in 20 s`);
});

test('connecting twice is connecting once', async () => {
  const both = [dpd.socket.connect(), dpd.socket.connect()];
  await WebSocket.last.greet('c1');
  both.push(dpd.socket.connect());
  assert.deepEqual(await Promise.all(both), ['c1', 'c1', 'c1']);
  assert.equal(WebSocket.opened.length, 1);
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
  await signedIn();
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

test('a room too busy to say who stays is asked for again by itself', async () => {
  await connected();
  dpd.socket.join('tea');
  await acknowledge('tea');
  await WebSocket.last.say({ type: 'leave', room: 'tea', data: { reason: 'not asked in time' } });
  await clock.pass(1_000);
  assert.equal(sent().length, 1);
  await WebSocket.last.say({ type: 'error', error: 'Busy.', room: 'tea', data: { code: 'room_busy' } });
  await clock.pass(250);
  assert.deepEqual(sent().slice(1), [['join', 'tea']]);
});

test('a room that crashed when it was to say who stays is asked for again by itself', async () => {
  await connected();
  dpd.socket.join('tea');
  await acknowledge('tea');
  await WebSocket.last.say({ type: 'leave', room: 'tea', data: { reason: 'room crashed' } });
  await WebSocket.last.say({ type: 'error', error: 'Failed.', room: 'tea', data: { code: 'room_crashed' } });
  await clock.pass(250);
  assert.deepEqual(sent().slice(1), [['join', 'tea']]);
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

test('closing while connecting makes it the only attempt', async () => {
  const greeted = dpd.socket.connect();
  const [joined, left] = [dpd.socket.join('tea'), dpd.socket.leave('tea')];
  joined.catch(() => {});
  dpd.close();
  await assert.rejects(greeted, is('closed'));
  assert.equal((await left).type, 'leave');
  assert.ok(WebSocket.last.closed);
  await WebSocket.last.greet();
  WebSocket.last.onerror({});
  await WebSocket.last.end(1006);
  assert.equal(dpd.socket.connected, false);
  await clock.pass(1e6);
  assert.deepEqual([clock.timers, WebSocket.opened.length, told], [[], 1, []]);
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
  const file = JSON.stringify(require.resolve('../../web/client/dpd.js'));
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

/** Say that the pod has taken the token. */
function signedIn() {
  return WebSocket.last.answer('auth', { type: 'auth', data: { authenticated: true } });
}

/** Lose the connection and have another. */
async function lostAndFound() {
  WebSocket.last.end(1006);
  await clock.pass(250);
  await WebSocket.last.greet();
}

/** Wait for the next attempt, and let it fail. */
async function failedAttempt() {
  const before = WebSocket.opened.length;
  while (WebSocket.opened.length === before) await clock.pass(50);
  await WebSocket.last.end(1006);
}

function tooFast(room) {
  return { type: 'error', error: 'Slow down.', room, data: { code: 'too_fast', retryAfter: 0.25 } };
}
