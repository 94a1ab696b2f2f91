'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');

const Deployd = require('../../web/client/dpd.js');

const { afterClose, encodeQuery } = Deployd;
const decode = (query) => Object.fromEntries(new URLSearchParams(encodeQuery(query)));

test('a query is dotted, and its leaves are JSON', () => {
  const query = {
    age: { $gte: 18, $lt: 65 },
    title: 'a & b',
    done: false,
    note: null,
    $sort: { createdAt: -1 },
    $limit: 5,
  };
  assert.deepEqual(decode(query), {
    'age.$gte': '18',
    'age.$lt': '65',
    title: '"a & b"',
    done: 'false',
    note: 'null',
    '$sort.createdAt': '-1',
    $limit: '5',
  });
});

test('arrays, dates and empty objects are one value each', () => {
  const day = new Date(0);
  assert.deepEqual(decode({ $or: [{ a: 1 }, { b: { $gt: 2 } }], id: { $in: ['x'] }, day, meta: {} }), {
    $or: '[{"a":1},{"b":{"$gt":2}}]',
    'id.$in': '["x"]',
    day: '"1970-01-01T00:00:00.000Z"',
    meta: '{}',
  });
});

test('what is undefined is no query, and an empty query asks for nothing', () => {
  assert.throws(() => encodeQuery({ a: 1, b: { c: undefined } }), /'b.c' is undefined/);
  assert.equal(encodeQuery({}), '');
});

test('objects of another realm or without a prototype are objects too', () => {
  const foreign = require('node:vm').runInNewContext('({ a: { $ne: 1 } })');
  assert.deepEqual(decode(foreign), { 'a.$ne': '1' });
  assert.deepEqual(decode(Object.assign(Object.create(null), { a: 1 })), { a: '1' });
});

test('the bound of the wait doubles from half a second to twenty', () => {
  const longest = [];
  let attempt = 0;
  for (let i = 0; i < 8; i += 1) {
    const next = afterClose({ code: 1006 }, attempt, () => 1);
    longest.push(next.wait);
    attempt = next.attempt;
  }
  assert.deepEqual(longest, [500, 1000, 2000, 4000, 8000, 16000, 20000, 20000]);
  assert.equal(afterClose({ code: 1006 }, 5000, () => 1).wait, 20000);
});

test('the jitter is full: the wait is anything from nothing to the bound', () => {
  assert.equal(afterClose({ code: 1006 }, 3, () => 0).wait, 0);
  assert.equal(afterClose({ code: 1006 }, 3, () => 0.5).wait, 2000);
});

test('a connection that lasted begins anew, one that did not goes on', () => {
  assert.deepEqual(afterClose({ code: 1006, lasted: 5000 }, 6, () => 1), {
    final: false,
    least: 0,
    wait: 500,
    attempt: 1,
  });
  assert.equal(afterClose({ code: 1006, lasted: 4999 }, 6, () => 1).attempt, 7);
});

test('what the pod asks for is the least wait, and the jitter comes on top', () => {
  const close = { code: 1012, reason: 'retry_after=3.5' };
  assert.equal(afterClose(close, 0, () => 0).wait, 3500);
  assert.equal(afterClose(close, 0, () => 1).wait, 4000);
  assert.equal(afterClose(close, 0, () => 1).least, 3500);
  assert.equal(afterClose({ ...close, reason: 'restart; retry_after=2' }, 0, () => 0).wait, 2000);
});

test('no pod keeps a client away for more than five minutes', () => {
  assert.equal(afterClose({ code: 1012, reason: 'retry_after=1e9' }, 0, () => 0).wait, 1000);
  assert.equal(afterClose({ code: 1012, reason: 'retry_after=99999999' }, 0, () => 0).wait, 300000);
  assert.equal(afterClose({ code: 1012, reason: 'retry_after=soon' }, 0, () => 0).wait, 0);
});

test('codes from 4500 to 4999 are final and no others', () => {
  for (const code of [4500, 4501, 4502, 4999]) {
    const decided = afterClose({ code, reason: 'retry_after=1' }, 0, () => 1);
    assert.deepEqual(decided, { final: true, least: 0, wait: 0, attempt: 1 });
  }
  for (const code of [1000, 1001, 1006, 1008, 1012, 4000, 4499, 5000]) {
    assert.equal(afterClose({ code }, 0).final, false);
  }
});

test('whoever comes back after a final close does so at once, and then as after any other', () => {
  const waits = [];
  let attempt = 0;
  for (let i = 0; i < 4; i += 1) {
    const next = afterClose({ code: 4502 }, attempt, () => 1);
    waits.push(next.wait);
    attempt = next.attempt;
  }
  assert.deepEqual(waits, [0, 1000, 2000, 4000]);
});

test('an address is http or https, and has no slash at its end', () => {
  const url = (text) => new Deployd(text).url;
  assert.equal(url('http://localhost:2403/'), 'http://localhost:2403');
  assert.equal(url('https://example.com/pods/one//'), 'https://example.com/pods/one');
  for (const bad of [undefined, '', 'null', 'localhost:2403', 'ws://localhost', 'http://', 'http://a?b']) {
    assert.throws(() => new Deployd(bad), /new Deployd\('http:\/\/localhost:2403'\)/);
  }
});

test('any name that the client does not have itself is a collection', () => {
  const dpd = new Deployd('http://pod');
  assert.equal(dpd.todos.name, 'todos');
  assert.equal(dpd.todos, dpd.todos);
  assert.equal(dpd.todos, dpd.collection('todos'));
  assert.equal(typeof dpd.on, 'function');
  assert.equal(dpd.collection('on').name, 'on');
  assert.equal(typeof dpd.users.login, 'function');
  assert.equal(dpd.collection('users'), dpd.users);
  assert.throws(() => (dpd.todos.name = 'users'), TypeError);
  assert.throws(() => (dpd.url = 'http://elsewhere'), TypeError);
  assert.throws(() => dpd.collection(''), /no name of a collection/);
  assert.throws(() => dpd.collection('a/b'), /no name of a collection/);
});

test('a client can be returned from an async function, printed and compared', async () => {
  const dpd = new Deployd('http://pod', { token: 'a.secret.token' });
  assert.equal(await (async () => dpd)(), dpd);
  assert.ok(!require('node:util').inspect(dpd, { depth: 9 }).includes('secret'));
  assert.ok(!JSON.stringify(dpd).includes('secret'));
  assert.ok(dpd instanceof Deployd);
  assert.equal(dpd.$$typeof, undefined);
});

test('the same class comes from require, from import and in a page', async () => {
  const file = '../../web/client/dpd';
  const module = await import(`${file}.mjs`);
  assert.equal(module.default, Deployd);
  assert.equal(module.Deployd, Deployd);
  assert.equal(module.DeploydError, Deployd.DeploydError);
  const page = { URLSearchParams, location: { origin: 'https://page.example' } };
  const source = require('node:fs').readFileSync(require.resolve(`${file}.js`), 'utf8');
  require('node:vm').runInNewContext(source, page);
  assert.equal(new page.Deployd().url, 'https://page.example');
});
