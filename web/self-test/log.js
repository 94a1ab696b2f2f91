/* The log of messages: who said what where, and how long it took. */

import { byId, element, inMs } from './dom.js';

const LINES = 200;

export const TICK = 'self-test:tick';

/**
 * Tabs of this page tell each other when they sent what: the same machine, so the same clock. A
 * message of somebody else arrives without a latency, for nobody here knows when it was sent.
 */
export function showLog(wire) {
  const list = byId('log');
  const rows = new Map(); // entry to its row, oldest first
  const sentAt = new Map(); // event id to unix ms, the last ones
  const tabs = new BroadcastChannel('deployd-self-test');
  let waiting = [];
  let frame = null;

  const later = (entry) => {
    if (entry.event === TICK && !byId('show-ticks').checked) return;
    if (!waiting.includes(entry)) waiting.push(entry);
    waiting = waiting.slice(-LINES);
    frame = frame ?? requestAnimationFrame(draw);
  };

  const draw = () => {
    frame = null;
    for (const entry of waiting) {
      const old = rows.get(entry);
      const row = rowOf(entry);
      if (old) old.replaceWith(row);
      else list.prepend(row);
      rows.set(entry, row);
    }
    waiting = [];
    for (const [entry, row] of rows) {
      if (rows.size <= LINES) break;
      row.remove();
      rows.delete(entry);
    }
  };

  const learn = (eventId, at) => {
    sentAt.set(eventId, at);
    if (sentAt.size > LINES) sentAt.delete(sentAt.keys().next().value);
    for (const entry of [...rows.keys(), ...waiting]) {
      if (entry.direction === 'in' && entry.eventId === eventId) arrive(entry);
    }
  };

  const arrive = (entry) => {
    const at = sentAt.get(entry.eventId);
    if (at !== undefined) entry.latency = Math.max(0, performance.timeOrigin + entry.arrivedAt - at);
    later(entry);
  };

  wire.addEventListener('sent', ({ detail }) => later(detail));
  wire.addEventListener('received', ({ detail }) => arrive(detail));
  wire.addEventListener('answered', ({ detail: entry }) => {
    later(entry);
    if (!entry.eventId) return;
    const at = performance.timeOrigin + entry.sentAt;
    learn(entry.eventId, at);
    tabs.postMessage({ eventId: entry.eventId, at });
  });
  tabs.addEventListener('message', ({ data }) => learn(data.eventId, data.at));
  byId('clear-log').addEventListener('click', () => {
    rows.clear();
    waiting = [];
    list.replaceChildren();
  });
}

function rowOf(entry) {
  const { direction, at, type, event, room, data, latency, error, scope } = entry;
  const waits = direction === 'out' && latency === null && !error;
  const timing = waits ? '…' : [scope, inMs(latency)].filter(Boolean).join(' · ');
  const row = element('li', error ? `${direction} bad` : direction);
  const arrow = element('span', 'arrow', direction === 'out' ? '→' : '←');
  arrow.title = direction === 'out' ? 'sent' : 'received';
  const said = data === undefined ? '' : JSON.stringify(data);
  const body = element('span', 'data', error || said.slice(0, 500));
  body.title = error || said.slice(0, 5000);
  row.append(
    element('time', '', new Date(at).toTimeString().slice(0, 8)),
    arrow,
    element('span', 'event', event || type),
    element('span', 'room', room),
    body,
    element('span', 'latency', timing),
  );
  return row;
}
