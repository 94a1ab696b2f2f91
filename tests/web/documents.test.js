'use strict';

/** Documents and accounts of a real pod: what rest.test.js claims of the server is so. */

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { clients, next } = require('./pod.js');

test('documents are created, found, counted, changed and removed', async (context) => {
  const dpd = clients(context)();
  const made = await dpd.todos.post({ title: 'one & only', age: 20 });
  await dpd.todos.post({ title: 'old', age: 70 });
  assert.equal(typeof made.id, 'string');
  assert.deepEqual(await dpd.todos.get(made.id), made);
  const titles = async (query) => (await dpd.todos.get(query)).map(({ title }) => title);
  assert.deepEqual(await titles({ $sort: { age: -1 } }), ['old', 'one & only']);
  assert.deepEqual(await titles({ age: { $gte: 18, $lt: 65 } }), ['one & only']);
  assert.deepEqual(await titles({ title: 'one & only' }), ['one & only']);
  assert.deepEqual(await titles({ $or: [{ age: 70 }, { title: 'none' }] }), ['old']);
  assert.deepEqual(await titles({ age: { $in: [20, 70] }, $sort: { title: 1 }, $limit: 1 }), ['old']);
  assert.equal(await dpd.todos.count(), 2);
  assert.equal(await dpd.todos.count({ age: { $gt: 65 } }), 1);
  assert.equal((await dpd.todos.put(made.id, { age: 21 })).age, 21);
  assert.equal((await dpd.todos.put({ ...made, age: 22 })).age, 22);
  assert.deepEqual(await dpd.todos.del(made.id), { deleted: 1 });
  await assert.rejects(dpd.todos.get(made.id), { status: 404 });
  assert.deepEqual((await dpd.collections.get()).filter((name) => name === 'todos'), ['todos']);
});

test('a document that is not valid is refused with its fields', async (context) => {
  const dpd = clients(context)();
  await assert.rejects(dpd.todos.post({ age: 'old' }), ({ status, message, errors }) => {
    assert.equal(status, 400);
    assert.ok(message.length > 0);
    assert.deepEqual(errors.map(({ field }) => field).sort(), ['age', 'title']);
    return true;
  });
});

test('who listens hears of each change', async (context) => {
  const client = clients(context);
  const [ada, ben] = [client(), client()];
  const heard = [];
  const last = new Promise((resolve) => {
    ada.todos.on('changed', ({ title }, type) => {
      heard.push([type, title]);
      if (type === 'deleted') resolve();
    });
  });
  await ada.socket.join('collection:todos');
  const { id } = await ben.todos.post({ title: 'a', age: 1 });
  await ben.todos.put(id, { title: 'b' });
  await ben.todos.del(id);
  await last;
  assert.deepEqual(heard, [['created', 'a'], ['updated', 'b'], ['deleted', 'b']]);
});

test('signing in opens what is closed to others, over REST and on the socket', async (context) => {
  const dpd = clients(context)();
  await assert.rejects(dpd.secrets.get(), { status: 401 });
  const refused = next(dpd, 'error');
  dpd.secrets.on('created', () => {});
  await refused;
  await assert.rejects(dpd.login({ username: 'ada', password: 'wrong' }), { status: 401 });
  const { user, isRoot } = await dpd.login({ username: 'ada', password: 'a good password' });
  assert.deepEqual([user.username, isRoot], ['ada', false]);
  assert.equal((await dpd.users.me()).username, 'ada');
  await dpd.socket.join('collection:secrets');
  const secret = next(dpd.secrets, 'changed');
  await dpd.secrets.post({ text: 'hush' });
  assert.equal((await secret)[0].text, 'hush');
  await dpd.logout();
  await assert.rejects(dpd.secrets.get(), { status: 401 });
});

test('the master key is a way to sign in too', async (context) => {
  const dpd = clients(context)();
  const { isRoot } = await dpd.login({ masterKey: process.env.DEPLOYD_MASTER_KEY });
  assert.equal(isRoot, true);
  assert.equal((await dpd.users.me()).isRoot, true);
});
