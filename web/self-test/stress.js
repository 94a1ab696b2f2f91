/*
 * The panel of the stress test: root has the pod put under load by a process beside it, and watches.
 * The pod tells how it goes; a test that somebody started already is found and shown.
 */

import { byId, inMs, say, sentenceOf } from './dom.js';
import { drawBars, drawLine } from './plot.js';

const PATH = '/_admin/test/websocket/stress';
const PERIOD = 500; // ms; the pod tells something new each second
const TIMEOUT = 10_000; // ms
const SHOWN = 60; // seconds
const ROOT = 'Only root may: sign in with the master key above.';

export function showStress(session) {
  const panel = new StressPanel(session);
  let asked = null; // what proved who we are when we last asked
  const arrive = () => {
    const proof = JSON.stringify(session.headers());
    if (proof !== asked) panel.find();
    asked = proof;
  };
  session.addEventListener('change', arrive);
  arrive();
  byId('load').addEventListener('submit', (event) => {
    event.preventDefault();
    panel.start(readLoad(event.target.elements));
  });
  byId('stop-load').addEventListener('click', () => panel.stop());
}

class StressPanel {
  constructor(session) {
    this._session = session;
    this._id = null; // of the test that is watched
    this._timer = null;
    this._seconds = [];
  }

  /** Show the newest test, if there is one that we may see. */
  async find() {
    try {
      const { tests } = await this._ask('GET', PATH);
      if (tests.length && !this._id) this._watch(tests[0]);
    } catch (error) {
      if (!this._id) say(byId('load-note'), sentenceOf(error));
    }
  }

  async start(load) {
    say(byId('load-note'), 'Asking the pod to start it.');
    await this._try(async () => this._watch(await this._ask('POST', PATH, load)));
  }

  async stop() {
    await this._try(async () => this._watch(await this._ask('DELETE', `${PATH}/${this._id}`)));
  }

  async _try(what) {
    byId('start-load').disabled = true;
    try {
      await what();
    } catch (error) {
      say(byId('load-note'), sentenceOf(error), 'bad');
    } finally {
      byId('start-load').disabled = this._timer !== null;
    }
  }

  _watch(test) {
    if (test.id !== this._id) this._seconds = [];
    this._id = test.id;
    clearTimeout(this._timer);
    const over = test.running === false;
    this._timer = over ? null : setTimeout(() => this._look(), PERIOD);
    byId('start-load').disabled = !over;
    byId('stop-load').disabled = over;
    this._show(test);
  }

  async _look() {
    try {
      this._watch(await this._ask('GET', `${PATH}/${this._id}`));
    } catch (error) {
      this._timer = null;
      this._id = null; // who signs in again finds it again
      byId('start-load').disabled = false;
      byId('stop-load').disabled = true;
      say(byId('load-note'), `How it goes cannot be read: ${sentenceOf(error)}`, 'bad');
    }
  }

  _show(test) {
    if (test.elapsed !== undefined) this._seconds[Math.floor(test.elapsed)] = test;
    const last = this._seconds.length - 1;
    const shown = Array.from({ length: SHOWN }, (_, i) => this._seconds[last - SHOWN + 1 + i]);
    const rates = shown.map((one) => (one ? one.per_second : 0));
    const p99s = shown.map((one) => (one && one.second_p99 ? one.second_p99 * 1000 : null));
    const p99 = test.p99 ? inMs(test.p99 * 1000) : '–';
    drawBars(byId('load-rate'), rates, String(test.per_second || 0), `${test.per_second || 0} deliveries in the last second`);
    drawLine(byId('load-latency'), p99s, p99, `p99 of ${p99}`);
    say(byId('load-note'), sentence(test), test.running === false ? kindOf(test) : '');
  }

  async _ask(method, path, body) {
    const headers = { ...this._session.headers(), ...(body ? { 'Content-Type': 'application/json' } : {}) };
    const init = { method, headers, signal: AbortSignal.timeout(TIMEOUT) };
    const response = await fetch(path, body ? { ...init, body: JSON.stringify(body) } : init);
    const answer = await response.json();
    if (response.status === 401) throw new Error(ROOT);
    if (!response.ok) throw new Error(answer.error);
    return answer;
  }
}

/** What the fields ask for; a number that is none is told by the pod, with its limit. */
function readLoad({ connections, messagesPerSecond, duration, rooms }) {
  const load = { connections, messagesPerSecond, duration, rooms };
  return Object.fromEntries(Object.entries(load).map(([name, field]) => [name, Number(field.value.trim() || NaN)]));
}

function kindOf(test) {
  return test.error || Object.keys(test.errors || {}).length || test.received !== test.expected ? 'bad' : 'good';
}

function sentence(test) {
  if (test.error) return test.error;
  if (test.elapsed === undefined) return test.running === false ? 'It was stopped before it began.' : 'It begins.';
  const state = test.running === false ? 'It is over' : `It runs for ${Math.floor(test.elapsed)} s`;
  const count = (number) => number.toLocaleString('en');
  const heard = `${count(test.received)} of ${count(test.expected)} deliveries to ${count(test.joined)} of ${count(test.wanted)} clients`;
  const took = test.p50 ? `; p50 ${inMs(test.p50 * 1000)}, p99 ${inMs(test.p99 * 1000)}` : '';
  const wrong = Object.entries(test.errors).map(([kind, number]) => `${kind} ${count(number)}`);
  return `${state}: ${heard}${took}; ${wrong.length ? `errors: ${wrong.join(', ')}` : 'no errors'}.`;
}
