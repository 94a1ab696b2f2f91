'use strict';

/** Hundreds of histories, each from a seed: whatever happens, client and pod agree in the end. */

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { settled, stage } = require('./fakes.js');

const ROOMS = ['tea', 'milk', 'collection:todos', 'collection:notes'];
const SEEDS = [...Array.from({ length: 200 }, (_, i) => i + 1), 857, 2800];
const STEPS = 80;

/** Numbers in [0, 1) that are the same for the same seed (mulberry32). */
function numbers(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** A pod that answers in its order, late, and knows who is in. */
class FakePod {
  constructor(socket, chance) {
    Object.assign(this, { socket, chance, read: 0, members: new Set(), fair: false });
  }

  /** Answer the next request, perhaps with a refusal. */
  async answer() {
    const request = this.socket.sent[this.read];
    if (!request) return false;
    this.read += 1;
    const { type, id, room } = request;
    const code = this.fair ? undefined : this.trouble(type);
    if (code === 'silence') return true;
    if (code) {
      await this.socket.say({ type: 'error', error: 'No.', room, id, data: { code } });
      return true;
    }
    if (type === 'join') this.members.add(room);
    if (type === 'leave') this.members.delete(room);
    await this.socket.say({ type, room, id, data: {} });
    return true;
  }

  trouble(type) {
    const luck = this.chance();
    if (luck < 0.15) return 'too_fast';
    if (luck < 0.2) return 'silence'; // it was dropped, as older pods do
    if (type === 'join' && luck < 0.3) return 'room_busy';
    if (type === 'join' && luck < 0.35) return 'forbidden';
    return undefined;
  }

  async end(room, how) {
    if (!this.members.delete(room)) return;
    const message = how === 'closed' ? { type: 'error', error: 'It ended.', data: { code: 'room_closed' } } : { type: 'leave' };
    await this.socket.say({ ...message, room });
  }
}

async function history(seed) {
  const chance = numbers(seed);
  const pick = (list) => list[Math.floor(chance() * list.length)];
  const { clock, dpd, WebSocket } = stage({ random: chance });
  const promises = [];
  const listener = () => {};
  let pod;
  const open = async () => {
    await WebSocket.last.greet();
    pod = new FakePod(WebSocket.last, chance);
  };
  const acts = {
    join: () => promises.push(dpd.socket.join(pick(ROOMS))),
    leave: () => promises.push(dpd.socket.leave(pick(ROOMS))),
    listen: () => dpd.todos.on('created', listener),
    unlisten: () => dpd.todos.off('created', listener),
    answer: () => pod.answer(),
    closed: () => pod.end(pick(ROOMS), 'closed'),
    out: () => pod.end(pick(ROOMS), 'taken out'),
    wait: () => clock.pass(chance() * 3_000),
    lose: async () => {
      await WebSocket.last.end(1006);
      while (WebSocket.last.closed) await clock.pass(1_000);
      await open();
    },
  };
  dpd.socket.connect();
  await open();
  const likely = ['join', 'join', 'leave', 'leave', 'listen', 'unlisten', 'closed', 'out', 'wait', 'lose'];
  for (let step = 0; step < STEPS; step += 1) {
    await acts[chance() < 0.5 ? 'answer' : pick(likely)]();
    for (const promise of promises) promise.catch(() => {});
  }
  pod.fair = true;
  for (let i = 0; i < 100; i += 1) {
    while (await pod.answer());
    await clock.pass(1_000);
  }
  await settled();
  const rooms = [...dpd.socket._rooms.values()];
  const joined = rooms.filter((room) => room.joined).map(({ name }) => name);
  assert.deepEqual(joined.sort(), [...pod.members].sort(), 'client and pod disagree');
  const waits = rooms.filter((room) => room.holders.size === 0 || !['in', 'refused'].includes(room.state));
  assert.deepEqual(waits, [], 'something is left undone');
  const pending = Symbol('pending');
  for (const promise of promises) {
    const outcome = await Promise.race([promise.catch(() => 'failed'), settled().then(() => pending)]);
    assert.notEqual(outcome, pending, 'a promise was left open');
  }
  dpd.close();
  assert.deepEqual(clock.timers, []);
}

test('whatever is joined, left, ended, refused, dropped and lost, client and pod agree', async () => {
  for (const seed of SEEDS) {
    await history(seed).catch((error) => {
      error.message = `seed ${seed}: ${error.message}`;
      throw error;
    });
  }
});
