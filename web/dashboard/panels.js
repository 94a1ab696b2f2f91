/* A snapshot, laid out. Of what a pod does not tell, a dash is shown. */

import { byId, element, write } from '/self-test/dom.js';
import { Chart } from './chart.js';
import { facts, keyed, table } from './keyed.js';
import { bytes, chaos, clock, costs, count, none, pairs, time } from './words.js';
import { showWrong } from './wrong.js';

const charts = [
  ['messages in, a second', count, (s) => s.messages?.received?.per_second?.['1']],
  ['messages out, a second', count, (s) => s.messages?.sent?.per_second?.['1']],
  ['bytes out, a second', bytes, (s) => s.bytes?.sent?.per_second?.['1']],
  ['connections', count, (s) => s.connections?.open],
  ['local latency, p99', time, (s) => s.latency?.local?.p99],
  ['loop lag, p99', time, (s) => s.loop?.lag?.p99],
].map(([title, show, pick]) => ({ pick, chart: new Chart(byId('charts'), title, show) }));

export function show(s) {
  write(byId('pod-name'), s.name || '');
  write(byId('pod'), s.pod || '…');
  const ready = s.ready ? 'ready' : 'not ready';
  write(byId('about'), `deployd ${s.version || ''} · up ${time(s.uptime)} · ${ready}`);
  const wrong = s.wrong || [];
  showWrong(wrong, s.at);
  const broken = chaos(s.chaos);
  byId('chaos').hidden = broken === null;
  write(byId('chaos'), broken || '');
  document.title = `${wrong.length ? '⚠ ' : ''}${s.name || s.pod || ''} · Dashboard · deployd`;
  for (const { pick, chart } of charts) chart.add(Date.now(), pick(s));
  const c = s.connections || {};
  facts(byId('connections'), [
    ['Open', `${count(c.open)} of ${count(c.max)}`], ['Opened', count(c.opened)],
    ['Closed', count(c.closed)], ['Closed by code', pairs(c.closed_by_code)],
    ['Closed as slow', count(c.slow_closed)], ['Refused', pairs(c.refused)],
    ['Rate limited', pairs(s.rate_limited)],
  ]);
  table(byId('traffic'), ['messages', 'bytes'].flatMap((what) => ['received', 'sent'].map((way) => {
    const say = what === 'bytes' ? bytes : count;
    const { total, per_second: rate = {} } = s[what]?.[way] || {};
    return [`${what} ${way}`, say(rate['1']), say(rate['10']), say(rate['60']), say(total)];
  })));
  const of = { local: s.latency?.local, 'cross-pod': s.latency?.cross_pod, 'loop lag': s.loop?.lag };
  table(byId('latency'), Object.entries(of).map(([name, q = {}]) =>
    [name, time(q.p50), time(q.p90), time(q.p99), count(q.count)]));
  const p = s.process || {};
  facts(byId('process'), [
    ['Memory', bytes(p.memory_bytes)], ['Open files', `${count(p.open_files)} of ${count(p.max_files)}`],
    ['Processor', p.cpu_percent === undefined ? none : `${count(p.cpu_percent)} %`],
    ['Processor time', time(p.cpu_seconds)], ['Stalls of the loop', count(s.loop?.stalls)],
  ]);
  const rooms = s.rooms || {};
  table(byId('patterns'), (rooms.patterns || []).map((r) => [r.pattern, count(r.rooms), count(r.members), count(r.largest), bytes(r.memory)]));
  table(byId('largest'), (rooms.largest || []).map((r) => [r.name, count(r.members), count(r.events)]));
  const a = s.actors || {};
  const kinds = Object.keys({ ...a.mailboxes, ...a.restarts });
  table(byId('mailboxes'), kinds.map((kind) => {
    const box = a.mailboxes?.[kind] || {};
    return [kind, count(box.waiting), count(box.high_water), count(a.restarts?.[kind] || 0)];
  }));
  table(byId('hot'), (s.hot || []).map((r) => [r.name, share(r.processor), count(r.events_per_second),
    count(r.deliveries_per_second), bytes(r.bytes_per_second)]), 'none is');
  table(byId('lost'), lost(s.links || [], a.dead_letters || {}), 'nothing');
  table(byId('slow'), (s.slow_clients || []).map((one) =>
    [`${one.client} ${one.address || ''}`, one.user ?? none, count(one.waiting_messages), bytes(one.waiting_bytes)]));
  showLinks(s.links || []);
}

const share = (part) => (typeof part === 'number' ? `${count(100 * part)} %` : none);

const REASONS = {
  overflowed: 'not said to the other pods: more waited than the outbox or buffer takes',
  expired: 'not said to the other pods: the outage was too long',
  too_large: 'not said to the other pods: too large for the broker',
  unspeakable: 'not said to the other pods: a name or data that no pod takes',
  denied: 'not said to the other pods: the broker does not let this pod speak there',
  undelivered: "other pods', for which a busy room had no place",
};

/** What was lost, by why; the most first. */
function lost(links, letters) {
  const rows = Object.entries(letters).map(([why, n]) => [`messages that no actor handled: ${why}`, n]);
  for (const { lost: all = 0, missed = 0, dropped = {} } of links) {
    const known = Object.entries(REASONS).map(([name, words]) => [words, dropped[name] || 0]);
    const elsewhere = known.slice(0, -1).reduce((sum, [, n]) => sum + n, 0);
    rows.push(['not said to the other pods: the broker was away', all - elsewhere], ...known, ["other pods' that never came", missed]);
  }
  return rows.filter(([, n]) => n).sort(([, x], [, y]) => y - x).map(([what, n]) => [what, count(n)]);
}

function showLinks(links) {
  const make = () => {
    const details = element('details', '', element('summary', '', 'History'), element('table', '', element('tbody')));
    return element('article', '', element('h3'), element('dl', 'facts'), details);
  };
  keyed(byId('links'), links, (link) => link.type, make, (one, link) => {
    const [title, list, details] = one.children;
    one.dataset.state = link.state;
    write(title, `${link.type}: ${link.state === 'closed' ? 'well' : link.state}`);
    const all = Object.entries(link).filter(([name]) => !['type', 'history'].includes(name));
    facts(list, all.map(([name, v]) => [worded(name), /seconds/.test(name) ? time(v) : plain(v)]));
    const rows = details.querySelector('tbody');
    keyed(rows, [...(link.history || [])].reverse(), (h) => h.at, () =>
      element('tr', '', element('th'), element('td'), element('td'), element('td')), (row, h) => {
      const until = h.until === null ? 'now' : clock(h.until);
      const why = h.last_reason ? `${h.reason}, then: ${h.last_reason}` : h.reason;
      const cells = [`${new Date(h.at * 1000).toLocaleString()} \u2013 ${until}`, h.code.replace('_', ' '), why, costs({ lost: h.lost, missed: h.missed, replayed: h.replayed, missing: h.missing })];
      cells.forEach((text, i) => write(row.children[i], text));
    });
    write(details.querySelector('summary'), (link.history || []).length ? 'Outages' : 'No outage yet');
  });
}

/** The name of a figure; its unit stands behind the figure. */
const worded = (name) => name.replace(/_?seconds_?/, ' ').replace(/_/g, ' ').trim();

function plain(value) {
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (typeof value === 'number') return count(value);
  if (Array.isArray(value)) return value.join(', ') || none;
  return value !== null && typeof value === 'object' ? pairs(value) : value === '' ? none : (value ?? none);
}

export function showStress(s) {
  const panel = byId('stress');
  panel.hidden = false;
  facts(panel.querySelector('dl'), [
    ['State', s.done ? 'done' : 'running'], ['Connections', `${count(s.connections)} of ${count(s.wanted)}`],
    ['Sent', count(s.sent)], ['Received', count(s.received)], ['A second', count(s.per_second)],
    ['p50', time(s.p50)], ['p99', time(s.p99)],
    ['Errors', typeof s.errors === 'object' ? pairs(s.errors) : count(s.errors)],
  ]);
}
