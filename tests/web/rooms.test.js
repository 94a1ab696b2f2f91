'use strict';

/** Rooms as objects, `dpd.room(name)`: here the test is the pod. */

const assert = require('node:assert/strict');
const { beforeEach, test } = require('node:test');

const { DeploydError } = require('../../web/client/dpd.js');
const { settled, stage } = require('./fakes.js');

let dpd, pod, here;

beforeEach(() => {
  here = stage();
  ({ dpd } = here);
  pod = () => here.WebSocket.last;
});

const is = (code) => (error) => error instanceof DeploydError && error.code === code;
const say = (room, event, data) => pod().say({ type: 'emit', room, event, data });
const receipt = (data) => pod().answer('emit', { type: 'receipt', data: { scope: 'local', id: 'e', ...data } });

async function joined(...values) {
  const room = dpd.room(...values);
  room.join();
  if (!dpd.socket.connected) await here.connect();
  await here.acknowledge();
  return room;
}

test('making one asks for nothing; the first listener connects and joins', async () => {
  const room = dpd.room('auction-1');
  assert.deepEqual([room.name, room.state, here.WebSocket.opened.length], ['auction-1', 'out', 0]);
  room.on('leading', () => {});
  assert.equal(room.state, 'joining');
  await pod().greet();
  assert.deepEqual(here.sent(), [['join', 'auction-1']]);
  await here.acknowledge();
  assert.equal(room.state, 'in');
});

test('a room brings its parameters along, after each reconnection too', async () => {
  await joined('theatre', { row: 3 });
  assert.deepEqual(pod().sent[0].data, { row: 3 });
  await pod().end(1006);
  await here.clock.pass(1_000);
  await pod().greet();
  assert.deepEqual(pod().sent[0].data, { row: 3 });
});

test('it hears its own room and no other, and what is heard comes with the message', async () => {
  const [tea, heard] = [await joined('tea'), []];
  tea.on('said', (data, message) => heard.push([data, message.room]));
  tea.once('said', () => heard.push('once'));
  for (const name of ['tea', 'milk', 'tea']) await say(name, 'said', 1);
  await say('tea', 'other', 2);
  await pod().say({ type: 'emit', event: 'said', data: 3 });
  assert.deepEqual(heard, [[1, 'tea'], 'once', [1, 'tea']]);
  tea.off('said');
  await say('tea', 'said', 4);
  assert.equal(heard.length, 3);
});

test('events that dpd.on hears are heard there too', async () => {
  const heard = [];
  await joined('tea');
  dpd.on('said', (data) => heard.push(data));
  await say('tea', 'said', 1);
  assert.deepEqual(heard, [1]);
});

test("the promise of an emit is the room's answer, and its receipt is at hand", async () => {
  const room = await joined('auction-1');
  const bid = room.emit('bid', { amount: 15 });
  assert.deepEqual(
    here.sent().at(-1).concat(pod().sent.at(-1).room, pod().sent.at(-1).data),
    ['emit', 'auction-1', 'auction-1', { amount: 15 }],
  );
  await receipt({ answer: { user: 'ann' } });
  assert.deepEqual(await bid, { user: 'ann' });
  assert.deepEqual(await bid.receipt, { scope: 'local', id: 'e', answer: { user: 'ann' } });
  const silent = room.emit('wave');
  await receipt();
  assert.equal(await silent, null);
});

test('a refusal fails the answer and the receipt, whichever is asked for', async () => {
  const room = await joined('auction-1');
  for (const ask of [(bid) => bid, (bid) => bid.receipt]) {
    const failed = assert.rejects(ask(room.emit('bid', 1)), is('too_low'));
    await here.refuse('emit', 'too_low');
    await failed;
  }
  assert.deepEqual(here.reported(), []);
  room.emit('bid', 1);
  await here.refuse('emit', 'too_low');
  assert.deepEqual(here.reported(), ['too_low']);
});

test('the first emit joins, and waits until it is in', async () => {
  const answer = dpd.room('auction-1').emit('bid', 5);
  await pod().greet();
  assert.deepEqual(here.sent(), [['join', 'auction-1']]);
  await here.acknowledge();
  assert.deepEqual(here.sent().at(-1), ['emit', 'auction-1']);
  await receipt({ answer: 60 });
  assert.equal(await answer, 60);
});

test('an emit whose join is refused fails with that, and is never said', async () => {
  const room = dpd.room('auction-1');
  const failed = assert.rejects(room.emit('bid', 5), is('room_full'));
  await pod().greet();
  await here.refuse('join', 'room_full');
  await failed;
  assert.equal(room.state, 'out');
  assert.deepEqual(here.sent(), [['join', 'auction-1']]);
  assert.deepEqual(here.reported(), []);
});

test('after a loss an emit is not kept for later, and while the room is rejoined it waits', async () => {
  const room = await joined('auction-1');
  await pod().end(1006);
  assert.equal(room.state, 'joining');
  await assert.rejects(room.emit('bid', 5), is('disconnected'));
  await here.clock.pass(1_000);
  await pod().greet();
  const answer = room.emit('bid', 6);
  assert.deepEqual(here.sent(), [['join', 'auction-1']]);
  await here.acknowledge();
  assert.deepEqual(pod().sent.at(-1).data, 6);
  await receipt({ answer: 60 });
  assert.equal(await answer, 60);
});

test('two of one name are one member: one join, and the last leaves', async () => {
  const [one, two] = [await joined('tea'), await joined('tea')];
  assert.notEqual(one, two);
  assert.deepEqual(here.sent(), [['join', 'tea']]);
  const heard = [];
  one.on('said', () => heard.push('one'));
  two.on('said', () => heard.push('two'));
  await one.leave();
  assert.deepEqual([one.state, two.state], ['out', 'in']);
  await say('tea', 'said', 1);
  assert.deepEqual(heard, ['two']);
  const left = two.leave();
  assert.deepEqual(here.sent().at(-1), ['leave', 'tea']);
  await here.acknowledge();
  await left;
  assert.equal(two.state, 'out');
});

test('dpd.socket and collections do not lose a room that an object leaves, nor the other way', async () => {
  const [room, todos] = [await joined('tea'), await joined('collection:todos')];
  dpd.socket.join('tea');
  dpd.todos.on('created', () => {});
  await room.leave();
  await todos.leave();
  assert.deepEqual(here.sent(), [['join', 'tea'], ['join', 'collection:todos']]);
  await joined('tea');
  await dpd.socket.leave('tea');
  dpd.todos.off();
  assert.deepEqual(here.sent().slice(2), [['leave', 'collection:todos']]);
});

test('of several parameters those that were brought last count from the next join on', async () => {
  const first = await joined('theatre', { row: 3 });
  await joined('theatre', { row: 4 });
  await joined('theatre');
  assert.equal(pod().sent.length, 1);
  await pod().end(1006);
  await here.clock.pass(1_000);
  await pod().greet();
  assert.deepEqual(pod().sent[0].data, { row: 4 });
  first.join();
  await pod().end(1006);
  await here.clock.pass(1_000);
  await pod().greet();
  assert.deepEqual(pod().sent[0].data, { row: 3 });
});

test('who has left hears nothing, and joins again only when told to', async () => {
  const [room, heard] = [await joined('tea'), []];
  room.on('said', (data) => heard.push(data));
  room.leave();
  await here.acknowledge();
  await say('tea', 'said', 1);
  room.on('more', () => {});
  const failed = assert.rejects(room.emit('said', 2), is('not_a_member'));
  await here.refuse('emit', 'not_a_member');
  await failed;
  assert.deepEqual(here.sent(), [['join', 'tea'], ['leave', 'tea'], ['emit', 'tea']]);
  await joined('tea');
  room.join();
  await say('tea', 'said', 3);
  assert.deepEqual([heard, room.state], [[3], 'in']);
});

test('a room that has ended is out, told to error, and the application may join it again', async () => {
  const room = await joined('auction-1');
  await pod().say({ type: 'error', error: 'It has ended.', room: 'auction-1', data: { code: 'room_closed' } });
  assert.deepEqual([room.state, here.reported()], ['out', ['room_closed']]);
  room.join();
  await here.acknowledge();
  assert.equal(room.state, 'in');
});

test('who is put out is out, until it may come in again', async () => {
  const room = await joined('tea');
  await pod().say({ type: 'leave', room: 'tea', data: { code: 'taken_out', reason: 'no' } });
  assert.equal(room.state, 'out');
  dpd.setToken('a.b.c');
  await pod().answer('auth', { type: 'auth', data: { authenticated: true } });
  assert.equal(room.state, 'joining');
  await here.acknowledge();
  assert.equal(room.state, 'in');
});

test('callbacks are taken, and names and listeners are checked', async () => {
  const told = [];
  const room = await joined('tea');
  room.emit('bid', 1, (answer, error) => told.push([answer, error]));
  await receipt({ answer: 60 });
  await settled();
  assert.deepEqual(told, [[60, null]]);
  for (const name of ['', undefined, 5]) assert.throws(() => dpd.room(name), TypeError);
  assert.throws(() => room.on('said'), TypeError);
});

test('a collection called room is still there by collection()', () => {
  assert.equal(dpd.collection('room').name, 'room');
});
