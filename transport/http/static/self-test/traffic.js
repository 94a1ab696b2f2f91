/* The panel of traffic: what this tab sends and hears, drawn; and a button that makes some. */

import { byId, sentenceOf, whileVisible, write } from './dom.js';
import { TICK } from './log.js';
import { Meter } from './meter.js';
import { drawBars, drawLine } from './plot.js';

const PER_SECOND = 20;
const LASTS = 60; // seconds
const UNANSWERED = 2 * PER_SECOND; // more, and the pod is behind: we wait for it

export function showTraffic(session, wire) {
  const meter = new Meter();
  const isEmit = ({ type, event }) => type === 'emit' && event !== '';
  wire.addEventListener('sent', ({ detail }) => isEmit(detail) && meter.count(detail.at));
  wire.addEventListener('received', ({ detail }) => isEmit(detail) && meter.count(detail.at));
  wire.addEventListener('answered', ({ detail }) => {
    if (isEmit(detail) && !detail.error) meter.time(detail.latency, Date.now());
  });
  whileVisible(1000, () => draw(meter.lastMinute(Date.now())));
  offerTicks(session);
}

function draw({ messages, p99s, p99 }) {
  const now = messages[messages.length - 1];
  const most = Math.max(...messages);
  const ms = p99 === null ? '–' : p99.toFixed(p99 < 10 ? 1 : 0);
  const spoken = `${now} messages in the last second, ${most} at most in one of the last minute`;
  drawBars(byId('plot-rate'), messages, String(now), spoken);
  drawLine(byId('plot-latency'), p99s, ms, p99 === null ? 'No receipts yet' : `p99 of ${ms} ms in the last minute`);
}

function offerTicks(session) {
  const button = byId('send-ticks');
  const note = byId('ticks-note');
  let timer = null;
  let sent = 0;
  let unanswered = 0;

  const stop = (sentence) => {
    clearInterval(timer);
    timer = null;
    button.setAttribute('aria-pressed', 'false');
    write(button, `Send ${PER_SECOND} a second`);
    write(note, sentence);
  };
  const tick = async (room) => {
    if (sent >= PER_SECOND * LASTS) return stop(`Sent ${sent} ticks in a minute; press again for more.`);
    if (unanswered >= UNANSWERED) return undefined;
    sent += 1;
    unanswered += 1;
    try {
      await session.emit(TICK, sent, room);
    } catch (error) {
      if (timer !== null) stop(`Stopped after ${sent} ticks: ${sentenceOf(error)}`);
    } finally {
      unanswered -= 1;
    }
    return undefined;
  };
  const start = async () => {
    const room = byId('emit').elements.room.value.trim();
    if (!room) return void write(note, 'Name a room to emit to first: not everybody wants ticks.');
    try {
      if (!session.rooms.has(room)) await session.join(room); // to hear them as well
    } catch (error) {
      return void write(note, sentenceOf(error));
    }
    sent = 0;
    timer = setInterval(tick, 1000 / PER_SECOND, room);
    button.setAttribute('aria-pressed', 'true');
    write(button, 'Stop sending');
    write(note, `Ticks go to ${room}; the log leaves them out unless you ask for them.`);
    return undefined;
  };
  button.addEventListener('click', () => (timer === null ? start() : stop(`Stopped after ${sent} ticks.`)));
}
