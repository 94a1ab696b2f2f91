'use strict';

/** Rooms that keep the place of who vanishes, and that tell who is there; the test is the pod. */

const assert = require('node:assert/strict');
const { beforeEach, test } = require('node:test');

const { settled, stage } = require('./fakes.js');

let dpd, pod, here;

beforeEach(() => {
  here = stage();
  ({ dpd } = here);
  pod = () => here.WebSocket.last;
});

const place = (resume, more = {}) => ({
  type: 'join',
  room: 'game-1',
  data: { resume, grace: 20, member: 'c-1', ...more },
});
const receipt = { type: 'receipt', data: { scope: 'local', id: 'e', answer: 7 } };

async function playing() {
  const game = dpd.room('game-1');
  game.join();
  await here.connect();
  await pod().answer('join', place('word-1'));
  return game;
}

async function lostAndGreeted() {
  await pod().end(1006);
  await here.clock.pass(1_000);
  await pod().greet();
}

const resumes = () => pod().sent.filter(({ type }) => type === 'join').map((one) => one.resume);

test('who comes back asks for its place by the word that it was given last', async () => {
  await playing();
  await lostAndGreeted();
  assert.deepEqual(resumes(), ['word-1']);
  await pod().answer('join', place('word-2', { returned: true }));
  await lostAndGreeted();
  assert.deepEqual(resumes(), ['word-2']);
});

test('a room that keeps no places is asked for none', async () => {
  dpd.room('tea').join();
  await here.connect();
  await here.acknowledge();
  await lostAndGreeted();
  assert.ok(!('resume' in pod().sent[0]));
});

test('what was said before the loss is answered after the return', async () => {
  const game = await playing();
  const score = game.emit('score', 3);
  const { id } = pod().sent.at(-1);
  await lostAndGreeted();
  await pod().answer('join', place('word-2', { returned: true }));
  await pod().say({ ...receipt, id });
  assert.equal(await score, 7);
});

test('who is let in anew knows that nothing more will be answered', async () => {
  const game = await playing();
  const score = game.emit('score', 3);
  await lostAndGreeted();
  let error = null;
  score.catch((lost) => (error = lost.code));
  await settled();
  assert.equal(error, null);
  await pod().answer('join', place('word-2'));
  await settled();
  assert.equal(error, 'disconnected');
});

test('what was said in other rooms is lost at once, as ever', async () => {
  await playing();
  const said = dpd.socket.emit('said', 1, 'tea');
  await pod().end(1006);
  await assert.rejects(said, { code: 'disconnected' });
});

test('whoever is refused, or leaves, waits for no answer either', async () => {
  const game = await playing();
  const first = game.emit('score', 3);
  await pod().end(1006);
  const left = assert.rejects(first, { code: 'disconnected' });
  await game.leave();
  await left;
});

test('a place is not asked for any more once the room was left', async () => {
  const game = await playing();
  game.leave();
  await pod().answer('leave', { type: 'leave', room: 'game-1' });
  game.join();
  await settled();
  assert.deepEqual(resumes(), [undefined, undefined]);
});

test('who is there is kept as the room tells it, for all objects of the room', async () => {
  const [game, same] = [await playing(), dpd.room('game-1')];
  const tell = (data) => pod().say({ type: 'emit', room: 'game-1', event: 'presence', data });
  const users = (room) => room.presence.map(({ user }) => user);
  assert.deepEqual(game.presence, []);
  await tell({ here: [{ user: 'ann' }, { user: 'ben' }], count: 2 });
  await tell({ came: [{ user: 'eve' }], count: 3 });
  await tell({ changed: [{ user: 'ben', away: true }], count: 3 });
  await tell({ went: [{ user: 'ann' }], count: 2 });
  assert.deepEqual(users(game), ['ben', 'eve']);
  assert.deepEqual(users(same), ['ben', 'eve']);
  assert.equal(game.presence[0].away, true);
  await tell({ here: [{ user: 'zoe' }], count: 1 });
  assert.deepEqual(users(game), ['zoe']);
});
