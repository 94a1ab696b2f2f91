'use strict';

/** What applications and browsers hand the client: texts, sizes, storages, listeners. */

const assert = require('node:assert/strict');
const { mock, test } = require('node:test');

const Deployd = require('../../web/client/dpd.js');
const { settled, stage } = require('./fakes.js');

const is = (code) => (error) => error instanceof Deployd.DeploydError && error.code === code;

// -- What is said -----------------------------------------------------------------------------

test('half an emoji is sent as what it is in a text: a replacement character', async () => {
  const { connect, dpd, WebSocket } = stage();
  await connect();
  const texts = [];
  const send = WebSocket.last.send.bind(WebSocket.last);
  WebSocket.last.send = (text) => send(texts[texts.push(text) - 1]);
  const emoji = '\u{1F600}';
  const data = {
    text: `half ${emoji}`.slice(0, -1),
    other: emoji.slice(1),
    whole: emoji,
    literal: '\\ud83d and \\\ud83d',
    [emoji.slice(0, 1)]: ['\u0001'],
  };
  dpd.socket.emit('said', data, 'tea').catch(() => {});
  assert.ok(!/\\ud83d"/.test(texts[0].replace(/\\\\/g, '')));
  assert.deepEqual(WebSocket.last.sent[0].data, {
    text: 'half \ufffd',
    other: '\ufffd',
    whole: emoji,
    literal: '\\ud83d and \\\ufffd',
    '\ufffd': ['\u0001'],
  });
});

test('half an emoji is no id of a document', async () => {
  const { dpd } = stage();
  await assert.rejects(dpd.todos.get('\ud83d'), TypeError);
});

test('what is above the limit that the pod tells is refused here, and costs nothing', async () => {
  const { connect, dpd, told, WebSocket } = stage();
  await connect({ limits: { maxMessageBytes: 200 } });
  const [long, wide] = ['x'.repeat(200), '\u{1F600}'.repeat(40)];
  for (const data of [long, wide, [long]]) {
    await assert.rejects(dpd.socket.emit('said', data, 'tea'), { code: 'too_large', message: /200 bytes/ });
  }
  await assert.rejects(dpd.socket.join(long), is('too_large'));
  dpd.socket.emit('said', '\u{1F600}'.repeat(30), 'tea').catch(() => {});
  assert.equal(WebSocket.last.sent.length, 1);
  assert.deepEqual([dpd.socket.connected, told], [true, []]);
});

test('the limit is exact to a byte', async () => {
  const { connect, dpd, WebSocket } = stage();
  const size = (data, id) => Buffer.byteLength(JSON.stringify({ type: 'emit', event: 'e', data, id }));
  await connect({ limits: { maxMessageBytes: size('ä'.repeat(50), 1) } });
  dpd.socket.emit('e', 'ä'.repeat(50)).catch(() => {});
  await assert.rejects(dpd.socket.emit('e', `${'ä'.repeat(50)}x`), is('too_large'));
  assert.equal(WebSocket.last.sent.length, 1);
});

test('a pod that tells no limit, or nonsense, is told everything', async () => {
  for (const more of [{}, { limits: null }, { limits: { maxMessageBytes: 'many' } }, { limits: { maxMessageBytes: 0 } }]) {
    const { connect, dpd, WebSocket } = stage();
    await connect(more);
    dpd.socket.emit('said', 'x'.repeat(1e6), 'tea').catch(() => {});
    assert.equal(WebSocket.last.sent.length, 1);
  }
});

test('what JSON cannot say fails at once', async () => {
  const { connect, dpd, WebSocket } = stage();
  await connect();
  const circle = {};
  circle.circle = circle;
  for (const data of [circle, 1n, { toJSON: () => { throw new Error('odd'); } }]) {
    await assert.rejects(dpd.socket.emit('said', data, 'tea'), is('not_json'));
  }
  assert.deepEqual([WebSocket.last.sent, dpd.socket.connected], [[], true]);
});

// -- Where the token is kept ------------------------------------------------------------------

const failing = (...names) => {
  const storage = { getItem: () => null, setItem: () => {}, removeItem: () => {} };
  for (const name of names) storage[name] = () => { throw new Error('QuotaExceededError'); };
  return storage;
};

for (const name of ['getItem', 'setItem', 'removeItem']) {
  test(`a storage whose ${name} throws is told of, and the token is good in memory`, async () => {
    const { connect, dpd, reported, WebSocket } = stage({ storage: failing(name) });
    await connect();
    dpd.setToken('a.b.c');
    assert.equal(dpd.token, 'a.b.c');
    assert.equal(WebSocket.last.sent[0].token, 'a.b.c');
    dpd.setToken(null);
    assert.equal(dpd.token, null);
    await settled();
    assert.deepEqual(reported(), ['storage']);
  });
}

test('a storage that is none, or answers later, is told of too', async () => {
  const later = async () => { throw new Error('later'); };
  for (const storage of [{}, { getItem: later, setItem: later, removeItem: later }]) {
    const { dpd, reported } = stage({ storage });
    dpd.setToken('a.b.c');
    await settled();
    assert.deepEqual([dpd.token, reported()], ['a.b.c', ['storage', 'storage']]);
  }
});

test('what a storage holds that is no token is none', () => {
  for (const kept of [undefined, '', 7, {}, [], true, 'a b', 'a\nb', 'ä', Promise.resolve('a.b.c')]) {
    assert.equal(stage({ storage: { ...failing(), getItem: () => kept } }).dpd.token, null);
  }
  assert.equal(stage({ storage: { ...failing(), getItem: () => 'a.b.c' } }).dpd.token, 'a.b.c');
});

test('who signs in with a storage that is full is signed in everywhere', async () => {
  const answer = { ok: true, status: 200, headers: new Map(), text: async () => '{"token":"a.b.c"}' };
  const { connect, dpd, WebSocket } = stage({ storage: failing('setItem'), fetch: async () => answer });
  await connect();
  assert.equal((await dpd.login({ masterKey: 'k' })).token, 'a.b.c');
  assert.equal(WebSocket.last.sent[0].token, 'a.b.c');
});

// -- Listeners --------------------------------------------------------------------------------

test('off takes back one on, the last, and off without a listener all', async () => {
  const { connect, dpd, WebSocket } = stage();
  const heard = [];
  const shared = () => heard.push('shared');
  const once = () => heard.push('once');
  dpd.on('said', shared).on('said', once, true).on('said', shared).once('said', shared);
  await connect();
  const say = async () => {
    heard.length = 0;
    await WebSocket.last.say({ type: 'emit', event: 'said', data: 1 });
    return heard.join(' ');
  };
  dpd.off('said', shared); // the one for once
  assert.equal(await say(), 'shared once shared');
  assert.equal(await say(), 'shared shared');
  dpd.off('said', shared);
  assert.equal(await say(), 'shared');
  dpd.off('said', () => {}).off('other', shared);
  assert.equal(await say(), 'shared');
  dpd.off('said', shared);
  assert.equal(await say(), '');
  dpd.on('said', shared).on('said', shared).off('said');
  assert.equal(await say(), '');
});

test('a room with a shared listener is held until the last on is taken back', async () => {
  const { acknowledge, connect, dpd, sent } = stage();
  const shared = () => {};
  dpd.todos.on('created', shared).on('created', shared);
  await connect();
  await acknowledge();
  dpd.todos.off('created', shared);
  assert.equal(sent().length, 1);
  dpd.todos.off('created', shared);
  assert.deepEqual(sent()[1], ['leave', 'collection:todos']);
});

test('whatever a listener throws or does, the client goes on', async (context) => {
  const printed = mock.method(console, 'error', () => {});
  context.after(() => printed.mock.restore());
  for (const act of ['throw', 'close', 'leave', 'signOut', 'off']) {
    for (const event of ['connect', 'disconnect', 'reconnecting', 'expired', 'error', 'said']) {
      const { clock, connect, dpd, refuse, WebSocket } = stage({ token: 'a.b.c' });
      const acts = {
        throw: () => { throw new Error('odd'); },
        close: () => dpd.close(),
        leave: () => dpd.socket.leave('tea'),
        signOut: () => dpd.setToken(null),
        off: () => dpd.off(),
      };
      dpd.on(event, acts[act]);
      dpd.socket.join('tea').catch(() => {});
      await connect();
      if (WebSocket.last.sent.length) await refuse('auth', 'expired_token');
      await WebSocket.last.say({ type: 'emit', event: 'said', data: 1 });
      await WebSocket.last.say({ type: 'error', error: 'Odd.', data: { code: 'odd' } });
      await WebSocket.last.end(1006);
      await clock.pass(1_000);
      await WebSocket.last.end(4502);
      await clock.pass(60_000);
      dpd.close();
      await clock.pass(60_000);
      assert.deepEqual(clock.timers, [], `${act} on ${event}`);
    }
  }
});
