/* Every pod as this one sees it, and who hears whom. What other pods say of themselves is text. */

import { byId, element, write } from '/self-test/dom.js';
import { keyed } from './keyed.js';
import { count, none, several, time } from './words.js';

const CARDS = 60; // pods that are drawn; the rest is a number
const MATRIX = 16; // pods up to which it is drawn who hears whom
const NAMES = 5; // of those whom a pod does not hear
const GONE = 60_000; // ms that a pod which is not known any more stays in sight
const ORDER = { self: 0, missing: 1, gone: 2, heard: 3 };

const seen = new Map(); // pods by id, as they were last, and when

export function showPods({ breaker, pods: answer = [] }) {
  const pods = withThoseGone(answer, Date.now());
  const shown = pods.slice(0, CARDS);
  const there = pods.filter((pod) => pod.state === 'self' || pod.state === 'heard');
  const number = new Map(pods.map((pod, i) => [pod.id, i + 1]));
  keyed(byId('pods'), shown, (pod) => pod.id, card, (one, pod) => fill(one, pod, there, number));
  const more = pods.length - shown.length;
  const alone = breaker === null ? 'No broker: this pod is alone.' : '';
  write(byId('pods-more'), more ? `and ${count(more)} more: deployd pods shows them all.` : alone);
  showMatrix(there, pods.filter((pod) => pod.state !== 'gone'), number);
}

/** Forget them: who signs in next may look at another cluster. */
export function forgetPods() {
  seen.clear();
}

/** Those in the answer, and for a while those that were in the one before: the unwell first. */
function withThoseGone(answer, now) {
  for (const pod of answer) seen.set(pod.id, { pod, at: now });
  const there = new Set(answer.map((pod) => pod.id));
  for (const [id, { at }] of seen) if (!there.has(id) && now - at > GONE) seen.delete(id);
  const gone = [...seen.values()].filter(({ pod }) => !there.has(pod.id));
  for (const { pod } of gone.slice(CARDS)) seen.delete(pod.id);
  const all = [...answer, ...gone.slice(0, CARDS).map(({ pod }) => ({ ...pod, state: 'gone' }))];
  const rank = (pod) => ORDER[pod.state] ?? 1;
  return all.sort((a, b) => rank(a) - rank(b) || order.compare(called(a), called(b)));
}

const order = new Intl.Collator('en', { numeric: true });
const called = (pod) => String(pod.name || pod.id);
const hears = (pod, other) => (pod.hears || []).includes(other.id);

function card() {
  const name = element('h3', '', element('span', 'soft'), ' ', element('bdi'), ' ', element('code', 'soft'));
  return element('li', '', name, element('p', 'state'), element('p', 'soft'), element('p', 'soft'), element('p', 'bad'));
}

function fill(one, pod, there, number) {
  const [head, state, figures, heardBy, deaf] = one.children;
  one.dataset.state = pod.state;
  const [position, name, id] = head.children;
  write(position, String(number.get(pod.id)));
  write(name, called(pod));
  write(id, pod.name ? pod.id : '');
  write(state, stateOf(pod));
  const load = typeof pod.load === 'number' ? ` · load ${count(Math.round(pod.load * 100))} %` : '';
  write(figures, `${pod.version || none} · ${several(pod.connections, 'connection')} · ${several(pod.rooms, 'room')}${load}`);
  const others = there.filter((other) => other.id !== pod.id);
  const by = others.filter((other) => hears(other, pod)).length;
  write(heardBy, others.length ? `heard by ${by} of ${others.length}` : '');
  const lacks = there.includes(pod) ? others.filter((other) => !hears(pod, other)).map(called) : [];
  const more = lacks.length > NAMES ? ` and ${lacks.length - NAMES} more` : '';
  const taken = pod.name_taken_by ? `${pod.name_taken_by} has its name, ${pod.wanted_name}` : '';
  const deafTo = lacks.length ? `does not hear ${lacks.slice(0, NAMES).join(', ')}${more}` : '';
  write(deaf, [deafTo, taken].filter(Boolean).join(' · '));
}

function stateOf({ state, since, heard_seconds: ago }) {
  if (state === 'self') return 'this pod';
  if (state !== 'missing') return String(state);
  const clock = typeof since === 'number' ? ` since ${new Date(since * 1000).toLocaleTimeString()}` : '';
  return `missing${clock}, last heard ${time(ago)} ago`;
}

/** A row a pod that is there, a column a pod: whom it hears. Of many only the cards tell. */
function showMatrix(there, known, number) {
  const table = byId('hearing');
  table.parentElement.hidden = known.length < 2 || known.length > MATRIX;
  if (table.parentElement.hidden) return;
  const head = table.tHead.rows[0];
  keyed(head, [null, ...known], (pod) => (pod ? pod.id : ''), heading, (cell, pod) => {
    if (!pod) return write(cell, 'hears');
    write(cell.children[0], String(number.get(pod.id)));
    write(cell.children[1], called(pod));
  });
  const row = (pod) => {
    const name = element('th', '', element('bdi'));
    name.scope = 'row';
    return element('tr', '', name);
  };
  keyed(table.tBodies[0], there, (pod) => pod.id, row, (one, pod) => {
    write(one.firstChild.firstChild, `${number.get(pod.id)} ${called(pod)}`);
    while (one.cells.length <= known.length) one.append(element('td', '', mark(), element('span', 'unseen')));
    while (one.cells.length > known.length + 1) one.lastChild.remove();
    known.forEach((other, i) => {
      const cell = one.cells[i + 1];
      const word = pod.id === other.id ? 'itself' : hears(pod, other) ? 'yes' : 'no';
      cell.dataset.hears = word;
      write(cell.children[0], { itself: '·', yes: '●', no: '✕' }[word]);
      write(cell.children[1], word);
    });
  });
}

function heading(pod) {
  if (!pod) return element('th');
  const cell = element('th', '', mark(), element('span', 'unseen'));
  cell.scope = 'col';
  return cell;
}

function mark() {
  const one = element('span');
  one.setAttribute('aria-hidden', 'true'); // a word beside it says it
  return one;
}
