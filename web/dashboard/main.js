/* The dashboard: it never shows as live what it did not just hear. */

import { byId, write } from '/self-test/dom.js';
import { Feed } from './feed.js';
import { show, showStress } from './panels.js';
import { showTree } from './tree.js';
import { time } from './words.js';

const TREE = 5; // ticks between two readings of the tree
let ticks = 0;
let readingTree = false;
const feed = new Feed();

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
  if (feed.fresh && ticks++ % TREE === 0) readTree();
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
  ticks = 0;
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

async function readTree() {
  if (readingTree) return;
  readingTree = true;
  try {
    showTree(await feed.get('/_dashboard/api/actors'));
    write(byId('tree-note'), '');
  } catch (error) {
    write(byId('tree-note'), `The tree is old: ${error.message}.`);
  } finally {
    readingTree = false;
  }
}
