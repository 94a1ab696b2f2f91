/* The panel of traffic: what this tab sends and hears, drawn; and a button that makes some. */

import { byId, sentenceOf, whileVisible, write } from './dom.js';
import { TICK } from './log.js';
import { Meter } from './meter.js';
import { PER_SECOND, Pace } from './pace.js';
import { drawBars, drawLine } from './plot.js';

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
  let pace = new Pace();

  const stop = (sentence) => {
    clearInterval(timer);
    timer = null;
    button.setAttribute('aria-pressed', 'false');
    write(button, `Send ${PER_SECOND} a second`);
    write(note, sentence);
  };
  const tick = async (run, room) => {
    const next = run.next();
    if (next === 'over') stop(`Sent ${run.sent} ticks in a minute; press again for more.`);
    if (next !== 'send') return;
    try {
      await session.emit(TICK, run.sent, room);
    } catch (error) {
      if (timer !== null && run === pace) stop(`Stopped after ${run.sent} ticks: ${sentenceOf(error)}`);
    } finally {
      run.answered();
    }
  };
  const start = async () => {
    const room = byId('emit').elements.room.value.trim();
    if (!room) return void write(note, 'Name a room to emit to first: not everybody wants ticks.');
    try {
      if (!session.rooms.has(room)) await session.join(room); // to hear them as well
    } catch (error) {
      return void write(note, sentenceOf(error));
    }
    pace = new Pace();
    timer = setInterval(tick, 1000 / PER_SECOND, pace, room);
    button.setAttribute('aria-pressed', 'true');
    write(button, 'Stop sending');
    write(note, `Ticks go to ${room}; the log leaves them out unless you ask for them.`);
    return undefined;
  };
  button.addEventListener('click', () => (timer === null ? start() : stop(`Stopped after ${pace.sent} ticks.`)));
}
