/*
 * The panel of faults on purpose: root breaks the pod for a while, and sees what is broken still.
 * It asks the pod only when somebody has asked something here: where chaos is off there is nothing
 * to see.
 */

import { byId, element, say, sentenceOf } from './dom.js';

const PATH = '/_dashboard/api/chaos';
const PERIOD = 500; // ms
const TIMEOUT = 10_000; // ms
const ROOT = 'Only root may: sign in with the master key above.';

export function showChaos(session) {
  const panel = new ChaosPanel(session);
  const form = byId('fault');
  const { fault, path } = form.elements;
  fault.addEventListener('change', () => (path.disabled = !fault.value.startsWith('actor.')));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    panel.inject(readFault(form.elements));
  });
  byId('stop-faults').addEventListener('click', () => panel.stop());
}

class ChaosPanel {
  constructor(session) {
    this._session = session;
    this._timer = null;
  }

  async inject(wanted) {
    await this._try(async () => {
      const begun = await this._ask('POST', wanted);
      say(byId('chaos-note'), `Fault ${begun.id} begins: ${begun.says}.`);
    });
  }

  async stop() {
    await this._try(async () => {
      const { stopped } = await this._ask('DELETE');
      say(byId('chaos-note'), stopped ? `${stopped} stopped.` : 'They were over already.');
    });
  }

  async _try(what) {
    try {
      await what();
      await this._look();
    } catch (error) {
      say(byId('chaos-note'), sentenceOf(error), 'bad');
    }
  }

  /** Show what is active, and again until nothing is. */
  async _look() {
    clearTimeout(this._timer);
    const { faults } = await this._ask('GET');
    byId('stop-faults').disabled = !faults.length;
    const lines = faults.map(({ id, says, left, struck }) =>
      element('li', '', `${id}: ${says}, for ${Math.ceil(left)} s more; struck ${struck}×`));
    byId('faults').replaceChildren(...lines);
    if (faults.length) this._timer = setTimeout(() => this._try(async () => {}), PERIOD);
  }

  async _ask(method, body) {
    const headers = { ...this._session.headers(), ...(body ? { 'Content-Type': 'application/json' } : {}) };
    const init = { method, headers, signal: AbortSignal.timeout(TIMEOUT) };
    const response = await fetch(PATH, body ? { ...init, body: JSON.stringify(body) } : init);
    const answer = await response.json();
    if (response.status === 401) throw new Error(ROOT);
    if (!response.ok) throw new Error(answer.error);
    return answer;
  }
}

/** What the fields ask for; what cannot be is told by the pod. */
function readFault({ fault, path, seconds }) {
  const text = seconds.value.trim();
  const wanted = { fault: fault.value, seconds: Number(text) || text };
  return path.disabled ? wanted : { ...wanted, path: path.value.trim() };
}
