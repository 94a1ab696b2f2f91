'use strict';

/** REST against a server that answers what a test tells it to, and notes what it was asked. */

const assert = require('node:assert/strict');
const http = require('node:http');
const { afterEach, before, after, test } = require('node:test');

const Deployd = require('../../web/client/dpd.js');
const { FakeClock } = require('./fakes.js');

let server, dpd, asked, reply;

before(async () => {
  server = http.createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const { method, url, headers } = request;
    asked.push({ method, url, headers, body: body && JSON.parse(body) });
    if (!reply) return; // never answered
    response.writeHead(reply.status || 200, { 'Content-Type': 'application/json', ...reply.headers });
    response.end(reply.text === undefined ? JSON.stringify(reply.body) : reply.text);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
});

after(() => {
  server.closeAllConnections();
  server.close();
});

function client(options) {
  return new Deployd(`http://127.0.0.1:${server.address().port}`, options);
}

function answers(body, more) {
  [asked, reply] = [[], { body, ...more }];
  dpd = client();
}

const lastAsked = () => asked.map(({ method, url, body }) => [method, url, body])[0];

test('all documents, those of a query, or one', async () => {
  answers([{ id: 'a' }]);
  assert.deepEqual(await dpd.todos.get(), [{ id: 'a' }]);
  assert.deepEqual(lastAsked(), ['GET', '/todos', '']);
  answers([]);
  await dpd.todos.get({ age: { $gte: 18 }, title: 'x' });
  assert.deepEqual(lastAsked(), ['GET', '/todos?age.%24gte=18&title=%22x%22', '']);
  answers({ id: 'a/b' });
  assert.deepEqual(await dpd.todos.get('a/b'), { id: 'a/b' });
  assert.deepEqual(lastAsked(), ['GET', '/todos/a%2Fb', '']);
});

test('what JSON cannot say in a query asks for nothing', async () => {
  answers([]);
  const unset = undefined;
  for (const query of [
    unset,
    { ownerId: unset },
    { ownerId: unset, done: false },
    { $or: [{ ownerId: unset }] },
    { ownerId: { $in: [unset] } },
    { ownerId: { $ne: unset } },
    { address: { city: unset } },
    { $sort: { age: unset } },
    { n: NaN },
    { n: { $lt: 1 / 0 } },
    { n: () => 1 },
  ]) {
    await assert.rejects(dpd.todos.get(query), TypeError);
    await assert.rejects(dpd.todos.count(query), TypeError);
    if (query) await assert.rejects(dpd.todos.all(query).next(), TypeError);
  }
  await assert.rejects(dpd.todos.get({ ownerId: unset }), /'ownerId' is undefined/);
  assert.deepEqual(asked, []);
});

test('a query that is too long for a URL goes in a body', async () => {
  const $in = Array.from({ length: 1000 }, (_, n) => String(n).padStart(24, 'a'));
  answers([{ id: 'a' }]);
  assert.deepEqual(await dpd.todos.get({ id: { $in } }), [{ id: 'a' }]);
  assert.deepEqual(lastAsked(), ['POST', '/todos/query', { id: { $in } }]);
  answers({ count: 1 });
  assert.equal(await dpd.todos.count({ id: { $in } }), 1);
  assert.deepEqual(lastAsked(), ['POST', '/todos/count', { id: { $in } }]);
});

test('a list that a bound has cut says so', async () => {
  answers([{ id: 'a' }], { headers: { 'X-Truncated': 'true' } });
  assert.equal((await dpd.todos.get()).truncated, true);
  answers([{ id: 'a' }]);
  assert.equal((await dpd.todos.get()).truncated, false);
});

test('all goes through the pages by id', async () => {
  answers([{ id: 'a' }, { id: 'b' }], { headers: { 'X-Truncated': 'true' } });
  const found = [];
  for await (const { id } of dpd.todos.all({ done: false, $fields: { id: 1 } })) {
    found.push(id);
    if (id === 'b') reply = { body: [{ id: 'c' }] };
  }
  assert.deepEqual(found, ['a', 'b', 'c']);
  const queries = asked.map(({ url }) => new URLSearchParams(url.split('?')[1]));
  assert.deepEqual(
    queries.map((query) => JSON.parse(query.get('$and'))),
    [[{ done: false }], [{ done: false }, { id: { $gt: 'b' } }]],
  );
  for (const query of queries) {
    assert.deepEqual([query.get('$sort.id'), query.get('$fields.id')], ['1', '1']);
    assert.equal(query.has('$limit'), false);
  }
});

test('all ends at its limit, over pages too, and knows no other order', async () => {
  answers([{ id: 'a' }, { id: 'b' }], { headers: { 'X-Truncated': 'true' } });
  const pages = dpd.todos.all({ $limit: 3 });
  assert.equal((await pages.next()).value.id, 'a');
  assert.equal((await pages.next()).value.id, 'b');
  reply = { body: [{ id: 'c' }], headers: { 'X-Truncated': 'false' } };
  assert.equal((await pages.next()).value.id, 'c');
  assert.equal((await pages.next()).done, true);
  const limits = asked.map(({ url }) => new URLSearchParams(url.split('?')[1]).get('$limit'));
  assert.deepEqual(limits, ['3', '1']);
  await assert.rejects(dpd.todos.all({ $sort: { n: 1 } }).next(), /leave \$sort out/);
  await assert.rejects(dpd.todos.all({ $skip: 1 }).next(), /leave \$skip out/);
});

test('a document is created with 200, changed and removed', async () => {
  answers({ id: 'a', title: 't' });
  assert.deepEqual(await dpd.todos.post({ title: 't' }), { id: 'a', title: 't' });
  assert.deepEqual(lastAsked(), ['POST', '/todos', { title: 't' }]);
  assert.equal(asked[0].headers['content-type'], 'application/json');
  answers({ id: 'a', title: 'u' });
  await dpd.todos.put('a', { title: 'u' });
  assert.deepEqual(lastAsked(), ['PUT', '/todos/a', { title: 'u' }]);
  answers({ id: 'a' });
  await dpd.todos.put({ id: 'a', title: 'v' });
  assert.deepEqual(lastAsked(), ['PUT', '/todos/a', { id: 'a', title: 'v' }]);
  for (const remove of ['del', 'delete']) {
    answers({ deleted: 1 });
    assert.deepEqual(await dpd.todos[remove](7), { deleted: 1 });
    assert.deepEqual(lastAsked(), ['DELETE', '/todos/7', '']);
  }
});

test('a count is a number', async () => {
  answers({ count: 3 });
  assert.equal(await dpd.todos.count(), 3);
  assert.deepEqual(lastAsked(), ['GET', '/todos/count', '']);
  answers({ count: 1 });
  assert.equal(await dpd.todos.count({ done: true }), 1);
  assert.deepEqual(lastAsked(), ['GET', '/todos/count?done=true', '']);
});

test('an id that is none asks for nothing', async () => {
  answers({});
  for (const id of ['', '.', '..', null, [], true]) {
    await assert.rejects(dpd.todos.get(id), /Give the id/);
    await assert.rejects(dpd.todos.del(id), /Give the id/);
    await assert.rejects(dpd.todos.put(id, {}), /Give the id/);
  }
  await assert.rejects(dpd.todos.del(undefined), /Give the id/);
  await assert.rejects(dpd.todos.put({ title: 'no id' }), /Give the id/);
  assert.deepEqual(asked, []);
});

test('callbacks get the result first and the error second', async () => {
  answers([{ id: 'a' }]);
  const call = (act) => new Promise((resolve) => act((...values) => resolve(values)));
  assert.deepEqual(await call((done) => dpd.todos.get(done)), [[{ id: 'a' }], null]);
  assert.deepEqual(await call((done) => dpd.todos.get({ a: 1 }, done)), [[{ id: 'a' }], null]);
  answers({ error: 'No such document.' }, { status: 404 });
  const [result, error] = await call((done) => dpd.todos.get('a', done));
  assert.equal(result, null);
  assert.equal(error.status, 404);
  answers({ id: 'a' });
  for (const act of [
    (done) => dpd.todos.post({}, done),
    (done) => dpd.todos.put('a', {}, done),
    (done) => dpd.todos.put({ id: 'a' }, done),
    (done) => dpd.todos.del('a', done),
    (done) => dpd.users.me(done),
  ]) {
    assert.deepEqual(await call(act), [{ id: 'a' }, null]);
  }
});

test('a callback that throws is told to the error event', async () => {
  answers([]);
  const reported = new Promise((resolve) => dpd.on('error', resolve));
  const bug = new Error('a bug of the application');
  dpd.todos.get(() => {
    throw bug;
  });
  assert.equal(await reported, bug);
});

test('an error has what the pod said', async () => {
  const errors = [{ field: 'title', message: 'is required' }];
  answers({ error: 'The document is not valid.', errors }, { status: 400 });
  await assert.rejects(dpd.todos.post({}), (error) => {
    assert.ok(error instanceof Deployd.DeploydError);
    const { message, status, statusCode, errors: fields, retryAfter } = error;
    assert.deepEqual(
      { message, status, statusCode, fields, retryAfter },
      {
        message: 'The document is not valid.',
        status: 400,
        statusCode: 400,
        fields: errors,
        retryAfter: undefined,
      },
    );
    return true;
  });
});

test('an error of something before the pod is told as well as can be', async () => {
  answers(null, { status: 502, text: '<h1>Bad Gateway</h1>' });
  await assert.rejects(dpd.todos.get(), { status: 502, errors: [], message: /todos: HTTP 502/ });
  answers(null, { text: '<h1>Welcome</h1>' });
  await assert.rejects(dpd.todos.get(), { status: 200, message: /not JSON/ });
  answers(null, { status: 204, text: undefined });
  reply.text = '';
  assert.equal(await dpd.todos.del('a'), null);
});

test('Retry-After is told in seconds, also where it is a date', async () => {
  answers({ error: 'Busy.' }, { status: 503, headers: { 'Retry-After': '7' } });
  await assert.rejects(dpd.todos.get(), { retryAfter: 7 });
  const clock = new FakeClock();
  const date = new Date(90_000).toUTCString();
  answers({ error: 'Busy.' }, { status: 503, headers: { 'Retry-After': date } });
  await assert.rejects(client({ clock }).todos.get(), { retryAfter: 90 });
  clock.time = 100_000;
  await assert.rejects(client({ clock }).todos.get(), { retryAfter: 0 });
});

test('a pod that is not there is an error of status 0 that says so', async () => {
  const closed = http.createServer();
  await new Promise((resolve) => closed.listen(0, '127.0.0.1', resolve));
  const { port } = closed.address();
  await new Promise((resolve) => closed.close(resolve));
  const error = { status: 0, message: /ECONNREFUSED.*Does a pod listen there/ };
  await assert.rejects(new Deployd(`http://127.0.0.1:${port}`).todos.get(), error);
});

test('a pod that does not answer is given up in time', async () => {
  const clock = new FakeClock();
  [asked, reply] = [[], null];
  const waiting = client({ clock, timeout: 3000 }).todos.get();
  waiting.catch(() => {});
  await clock.pass(2999);
  assert.equal(clock.timers.length, 1);
  await clock.pass(1);
  await assert.rejects(waiting, { status: 0, message: /no answer in 3000 ms/ });
  answers([]);
  const timed = client({ clock });
  await timed.todos.get();
  assert.equal(clock.timers.length, 0);
});

test('signing in keeps the token and shows it with every request', async () => {
  answers({ token: 'a.b.c', expiresAt: 1, isRoot: false, user: { id: 'u' } });
  const credentials = { username: 'ada', password: 'pw' };
  assert.equal((await dpd.login(credentials)).user.id, 'u');
  assert.deepEqual(lastAsked(), ['POST', '/auth/login', credentials]);
  assert.equal(asked[0].headers.authorization, undefined);
  assert.equal(dpd.token, 'a.b.c');
  await dpd.todos.get();
  await dpd.users.me();
  assert.equal(asked[1].headers.authorization, 'Bearer a.b.c');
  assert.deepEqual([asked[2].url, asked[2].headers.authorization], ['/auth/me', 'Bearer a.b.c']);
  await dpd.users.logout();
  await dpd.todos.get();
  assert.equal(asked[3].headers.authorization, undefined);
  assert.equal(dpd.token, null);
});

test('a sign-in that fails changes nothing', async () => {
  answers({ error: 'The user or the password is wrong.' }, { status: 401 });
  dpd.setToken('old');
  await assert.rejects(dpd.users.login({ masterKey: 'wrong' }), { status: 401 });
  assert.equal(dpd.token, 'old');
});

test('REST alone opens no socket', async () => {
  answers({ token: 'a.b.c' });
  let opened = 0;
  class NoSocket {
    constructor() {
      opened += 1;
    }
  }
  const quiet = client({ WebSocket: NoSocket });
  quiet.on('error', () => {});
  await quiet.login({ masterKey: 'k' });
  await quiet.todos.get();
  await quiet.logout();
  assert.equal(opened, 0);
});

test('a token is stored only where the application says, and only for this pod', async () => {
  const kept = new Map();
  const storage = {
    getItem: (key) => (kept.has(key) ? kept.get(key) : null),
    setItem: (key, value) => kept.set(key, value),
    removeItem: (key) => kept.delete(key),
  };
  answers({});
  client({ storage }).setToken('t');
  assert.equal(kept.size, 1);
  assert.equal(client({ storage }).token, 't');
  assert.equal(client().token, null);
  assert.equal(client({ storage, token: 'given' }).token, 'given');
  assert.equal(new Deployd('http://another', { storage }).token, null);
  client({ storage }).logout();
  assert.equal(kept.size, 0);
});

afterEach(() => dpd.close());
