'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { clients, next, order, recorder, token, url } = require('./pod.js');
const RealDeployd = require('../../web/client/dpd.js');

test('the snippets of the specification run as they stand', async (context) => {
  const printed = [];
  const console = { log: (...values) => printed.push(values) };
  const seen = [];
  const [updateTodoList, updateTodoItem, removeTodoItem, showNotification] = [
    () => seen.push('list'),
    (todo) => seen.push(todo.id),
    (id) => seen.push(id),
    (text) => seen.push(text),
  ];
  // The address of the snippet is that of a pod at home; this one has a free port.
  const Deployd = function (address) {
    assert.equal(address, 'http://localhost:2403');
    return new RealDeployd(url);
  };

  // Initialize with real-time enabled (default)
  const dpd = new Deployd('http://localhost:2403');

  // Listen for collection changes
  dpd.todos.on('created', function(todo) {
    console.log('New todo created:', todo);
    updateTodoList();
  });

  dpd.todos.on('updated', function(todo) {
    console.log('Todo updated:', todo);
    updateTodoItem(todo);
  });

  dpd.todos.on('deleted', function(todo) {
    console.log('Todo deleted:', todo);
    removeTodoItem(todo.id);
  });

  // Listen for custom events
  dpd.on('notification', function(data) {
    showNotification(data.message);
  });

  // Join specific rooms
  dpd.socket.join('admin-notifications');

  // Client joins custom room
  dpd.socket.join('chat-room-123');
  dpd.socket.join('admin-notifications');

  context.after(() => dpd.close());
  await dpd.socket.join('chat-room-123'); // the last of what was asked for
  for (const event of ['created', 'updated', 'deleted']) {
    await order(dpd, 'change', { collection: 'todos', event, document: { id: event } });
  }
  const notice = next(dpd, 'notification');
  await order(dpd, 'say', { room: 'admin-notifications', event: 'notification', data: { message: 'hi' } });
  await notice;
  assert.deepEqual(seen, ['list', 'updated', 'deleted', 'hi']);
  assert.deepEqual(printed.map(([text]) => text), ['New todo created:', 'Todo updated:', 'Todo deleted:']);
});

test('a join is acknowledged, and one that is refused says why', async (context) => {
  const dpd = clients(context)();
  assert.equal((await dpd.socket.join('tea')).room, 'tea');
  assert.match(dpd.socket.id, /^[0-9a-f]+$/);
  await assert.rejects(dpd.socket.join('no spaces'), { code: 'bad_room', message: /letters, digits/ });
  await assert.rejects(dpd.socket.join('members'), { code: 'auth_required' });
  const [result, error] = await new Promise((resolve) => {
    dpd.socket.join('members', (...values) => resolve(values));
  });
  assert.deepEqual([result, error.code], [null, 'auth_required']);
  assert.equal((await dpd.socket.leave('tea')).room, 'tea');
});

test('an emit reaches the members of its room, and its receipt says how far', async (context) => {
  const client = clients(context);
  const [ada, ben] = [client(), client()];
  await Promise.all([ada.socket.join('tea'), ben.socket.join('tea')]);
  const [heard, own] = [next(ben, 'said'), next(ada, 'said')];
  const receipt = await ada.socket.emit('said', { text: 'hello' }, 'tea');
  assert.equal(receipt.scope, 'local');
  const [data, message] = await heard;
  assert.deepEqual(data, { text: 'hello' });
  assert.equal(message.room, 'tea');
  assert.equal(message.meta.id, receipt.id);
  assert.deepEqual((await own)[0], data);
  const called = await new Promise((resolve) => {
    ada.socket.emit('said', 1, 'tea', (...values) => resolve(values));
  });
  assert.deepEqual([called[0].scope, called[1]], ['local', null]);
});

test('a room as an object answers, tells, refuses, and is left with its last object', async (context) => {
  const client = clients(context);
  const [ada, ben] = [client().room('test-sum-1'), client().room('test-sum-1', 5)];
  await ben.join();
  const total = next(ben, 'total');
  const added = ada.emit('add', 2);
  assert.equal(await added, 2);
  assert.equal((await added.receipt).scope, 'local');
  assert.equal((await total)[0], 2);
  await assert.rejects(ada.emit('add', -1), { code: 'too_low', data: { least: 0 } });
  await assert.rejects(ada.emit('add', 'two'), { code: 'wrong_data' });
  await assert.rejects(client().room('test-sum-1', 13).join(), { code: 'room_forbidden' });
  assert.deepEqual([ada.state, ben.state], ['in', 'in']);
  await ada.leave();
  assert.equal(ada.state, 'out');
  await assert.rejects(ada.emit('add', 1), { code: 'not_a_member' });
});

test('an emit that may not be is rejected with the reason', async (context) => {
  const dpd = clients(context)();
  await dpd.socket.connect();
  await assert.rejects(dpd.socket.emit('said', 1), { code: 'auth_required' });
  await assert.rejects(dpd.socket.emit('created', {}, 'collection:todos'), { code: 'room_reserved' });
  await assert.rejects(dpd.socket.emit('system:healed', {}, 'tea'), { code: 'event_reserved' });
  const events = [];
  for (let i = 0; i < 5; i += 1) events.push(dpd.socket.emit('crash', i, 'test-orders'));
  for (const event of events) await assert.rejects(event, { code: 'room_crashed' });
});

test('events come from any room or none, changes only to their collection', async (context) => {
  const dpd = clients(context)({ token });
  const heard = [];
  dpd.on('created', (data) => heard.push(['custom', data]));
  dpd.todos.on('changed', (data, type) => heard.push([type, data]));
  dpd.collections.on('changed', ({ collection, type, data }) => heard.push([collection, type, data]));
  await dpd.socket.join('collection:todos');
  await dpd.socket.join('collections');
  await order(dpd, 'change', { collection: 'todos', event: 'created', document: 1 });
  await order(dpd, 'change', { collection: 'others', event: 'deleted', document: 2 });
  await dpd.socket.emit('created', 3);
  const last = next(dpd, 'last');
  await order(dpd, 'say', { event: 'last', data: 4 });
  await last;
  const sorted = heard.map((one) => JSON.stringify(one)).sort();
  assert.deepEqual(sorted, [
    '["created",1]',
    '["custom",3]',
    '["others","deleted",2]',
    '["todos","created",1]',
  ]);
});

test('the pod tells of degradation and healing', async (context) => {
  const dpd = clients(context)();
  const events = Promise.all([next(dpd, 'degraded'), next(dpd, 'healed')]);
  await dpd.socket.connect();
  await order(dpd, 'say', { event: 'system:degraded', data: { link: 'redis' } });
  await order(dpd, 'say', { event: 'system:healed', data: { lost: 0 } });
  const [[degraded], [healed]] = await events;
  assert.deepEqual([degraded, healed], [{ link: 'redis' }, { lost: 0 }]);
});

test('signing in opens rooms on the open socket, also to those who listen already', async (context) => {
  const dpd = clients(context)();
  const refused = next(dpd, 'error');
  dpd.secrets.on('created', () => {});
  assert.equal((await refused)[0].code, 'auth_required');
  dpd.setToken(token);
  await dpd.socket.join('members');
  await dpd.socket.join('collection:secrets');
  const secret = next(dpd.secrets, 'updated');
  await order(dpd, 'change', { collection: 'secrets', event: 'updated', document: 1 });
  assert.deepEqual((await secret).slice(0, 2), [1, 'updated']);
});

test('signing out leaves nothing of who one was', async (context) => {
  const dpd = clients(context)({ token });
  await dpd.socket.join('tea');
  await dpd.socket.join('members');
  const refused = next(dpd, 'error');
  await dpd.users.logout();
  assert.equal((await refused)[0].code, 'auth_required'); // 'members', asked for as nobody
  await dpd.socket.join('tea');
  await assert.rejects(dpd.socket.emit('said', 1), { code: 'auth_required' });
});

test('a room is joined once for all its listeners, and left with the last', async (context) => {
  const WebSocket = recorder();
  const dpd = clients(context)({ WebSocket });
  const listener = () => {};
  dpd.todos.on('created', listener).on('updated', listener).once('deleted', listener);
  await dpd.socket.join('tea');
  const once = next(dpd.todos, 'changed');
  await order(dpd, 'change', { collection: 'todos', event: 'deleted', document: 1 });
  await once;
  dpd.todos.off('created', listener).off('updated', listener);
  await dpd.socket.leave('collection:todos');
  await dpd.socket.leave('tea');
  assert.deepEqual(
    WebSocket.trace.filter((line) => line.startsWith('out') && !line.includes('test-orders')),
    ['out join collection:todos', 'out join tea', 'out leave collection:todos', 'out leave tea'],
  );
});

test('who is sent away for good does not come back by itself', async (context) => {
  const dpd = clients(context)();
  dpd.on('error', () => {});
  dpd.on('reconnecting', () => assert.fail('it tries again'));
  await dpd.socket.join('tea');
  const gone = next(dpd, 'disconnect');
  for (let i = 0; i < 30; i += 1) dpd.socket.join(`not a name ${i}`).catch(() => {});
  const [{ code, final }] = await gone;
  assert.deepEqual([code, final], [4502, true]);
  await assert.rejects(dpd.socket.emit('said', 1, 'tea'), { code: 'refused', closeCode: 4502 });
  await dpd.socket.connect(); // unless the application says so
  assert.equal(dpd.socket.connected, true);
});

test('a client that is closed lets the pod know', async (context) => {
  const client = clients(context);
  const [ada, ben] = [client(), client()];
  await ada.socket.join('test-guests');
  const [came, left] = [next(ada, 'came'), next(ada, 'left')];
  await ben.socket.join('test-guests');
  const { id } = ben.socket;
  ben.close();
  assert.equal((await came)[0], id);
  assert.equal((await left)[0], id);
});

test('the pod serves the client that these tests are of', async () => {
  const { readFileSync } = require('node:fs');
  const served = await (await fetch(`${url}/dpd.js`)).text();
  const file = require.resolve('../../web/client/dpd.js');
  assert.equal(served, readFileSync(file, 'utf8'));
});
