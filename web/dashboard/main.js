/* The dashboard: it never shows as live what it did not just hear. */

import { byId, write } from '/self-test/dom.js';
import { Feed } from './feed.js';
import { show, showStress } from './panels.js';
import { forgetPods, showPods } from './pods.js';
import { showTimeline } from './timeline.js';
import { showTree } from './tree.js';
import { time } from './words.js';

const feed = new Feed();
const readings = [
  reading('/_dashboard/api/pods', 2, showPods, 'pods-note', 'The pods are'),
  reading('/_dashboard/api/past', 10, showTimeline, 'timeline-note', 'The last hour is'),
  reading('/_dashboard/api/actors', 5, showTree, 'tree-note', 'The tree is'),
];

feed.addEventListener('snapshot', ({ detail }) => {
  byId('login').hidden = true;
  byId('panels').hidden = false;
  byId('sign-out').hidden = !feed.token;
  show(detail);
  status();
});
feed.addEventListener('stress', ({ detail }) => detail && showStress(detail));
feed.addEventListener('tick', () => {
  status();
  if (feed.fresh) for (const one of readings) one.tick();
});
feed.addEventListener('login', () => {
  byId('panels').hidden = true;
  byId('sign-out').hidden = true;
  byId('alarms').known?.clear();
  byId('alarms').replaceChildren();
  const form = byId('login');
  if (form.hidden) {
    form.hidden = false;
    byId('master-key').focus();
  }
  for (const one of readings) one.again();
  forgetPods();
  status();
});

byId('sign-out').addEventListener('click', () => feed.signOut());
byId('login').addEventListener('submit', async (event) => {
  event.preventDefault();
  const field = byId('master-key');
  const key = field.value;
  field.value = '';
  write(byId('login-note'), '');
  try {
    await feed.login(key);
  } catch (error) {
    write(byId('login-note'), refusal(error));
    field.focus();
  }
});

function refusal({ status: code, retryAfter, message }) {
  if (code === 401 || code === 403) return 'This is not the master key.';
  if (code !== 429) return message;
  const wait = retryAfter === undefined ? 'later' : `in ${Math.ceil(retryAfter)} s`;
  return `Too many attempts: try again ${wait}.`;
}

function status() {
  const { fresh, way, at, why, next } = feed;
  const out = !byId('login').hidden;
  document.body.dataset.state = out ? 'out' : fresh ? way : 'stale';
  if (out) return void (write(byId('state'), 'Signed out'), write(byId('age'), ''));
  if (fresh) {
    write(byId('state'), way === 'live' ? 'Live' : 'Polled');
    return void write(byId('age'), way === 'live' ? '' : 'every 2 s: no WebSocket');
  }
  write(byId('state'), at === null ? 'Not live yet' : 'Not live');
  const age = at === null ? '' : `since ${time(Math.floor((Date.now() - at) / 1000) || 1)}`;
  const again = `next attempt in ${Math.max(1, Math.ceil((next - Date.now()) / 1000))} s`;
  write(byId('age'), [age, why, again].filter(Boolean).join(' · '));
}

/** What is asked for every so many ticks, once at a time; what is old is called so. */
function reading(path, every, show, note, what) {
  let ticks = 0;
  let busy = false;
  const read = async () => {
    busy = true;
    try {
      show(await feed.get(path));
      write(byId(note), '');
    } catch (error) {
      write(byId(note), `${what} old: ${error.message}.`);
    } finally {
      busy = false;
    }
  };
  return { tick: () => ticks++ % every || busy || read(), again: () => (ticks = 0) };
}
