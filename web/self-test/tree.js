/* The panel of the supervision tree: who lives, who was restarted, what waits. */

import { byId, element, say, sentenceOf, whileVisible, write } from './dom.js';

const PATH = '/_dashboard/api/actors';
const PERIOD = 1000; // ms
const TIMEOUT = 5000; // ms
const CHILDREN = 50; // shown of one supervisor
const ROSE = 3000; // ms that a risen count is marked

const REMEDY =
  "Start the pod with 'deployd serve --dev' and open this page on the same machine, or sign in " +
  'as root above.';

export function showTree(session) {
  const details = byId('tree-details');
  const view = new TreeView(byId('actors'));
  let refused = '';
  let reading = false;

  const read = async () => {
    const proof = JSON.stringify(session.headers());
    if (reading || !details.open || refused === proof) return; // what was refused stays so
    reading = true;
    try {
      const signal = AbortSignal.timeout(TIMEOUT);
      const response = await fetch(PATH, { headers: session.headers(), signal });
      if (response.ok) view.show(await response.json(), performance.now());
      if (response.status === 401 || response.status === 403) {
        refused = proof;
        view.clear();
      }
      const why = response.ok ? '' : (await response.json()).error;
      say(byId('tree-note'), refused === proof ? `You may not see it. ${REMEDY}` : why, why && 'bad');
    } catch (error) {
      say(byId('tree-note'), `The tree cannot be read: ${sentenceOf(error)}. Does the pod run?`, 'bad');
    } finally {
      reading = false;
    }
  };

  whileVisible(PERIOD, read);
  details.addEventListener('toggle', read);
  session.addEventListener('change', () => refused && read());
}

/** The rows by path: what stays keeps its row, so focus and marks stay as well. */
class TreeView {
  constructor(body) {
    this._body = body;
    this._rows = new Map();
    this._folded = new Set();
    this._tree = null;
  }

  show(tree, now) {
    this._tree = tree;
    const rows = [];
    this._lay(tree, 0, '', rows, now);
    const paths = new Set(rows.map((row) => row.path));
    for (const path of this._rows.keys()) if (!paths.has(path)) this._rows.delete(path);
    rows.forEach(({ line }, i) => {
      if (this._body.children[i] !== line) this._body.insertBefore(line, this._body.children[i] || null);
    });
    while (this._body.children.length > rows.length) this._body.lastChild.remove();
  }

  clear() {
    this._body.replaceChildren();
    this._rows.clear();
  }

  _lay(node, depth, above, rows, now) {
    const row = this._rows.get(node.path) || this._newRow(node.path, depth, above);
    const folded = this._folded.has(node.path);
    fill(row, node, folded, now);
    rows.push(row);
    if (folded) return;
    const shown = mostTelling(node.children);
    for (const child of shown) this._lay(child, depth + 1, `${node.path}/`, rows, now);
    const left = node.children.length - shown.length;
    if (left > 0) rows.push(this._more(node.path, left, depth + 1));
  }

  _newRow(path, depth, above) {
    const name = path.slice(above.length);
    const fold = element('button', 'fold quiet');
    fold.type = 'button';
    fold.setAttribute('aria-label', `Children of ${path}`);
    fold.addEventListener('click', () => this._toggle(path));
    const kind = element('span', 'kind');
    const head = element('th', '', fold, element('span', 'name', name), kind);
    head.scope = 'row';
    head.style.setProperty('--depth', depth);
    const [status, incarnation, restarts, mailbox] = ['status', 'number', 'number', 'number'].map((c) => element('td', c));
    const line = element('tr', '', head, status, incarnation, restarts, mailbox);
    line.dataset.path = path;
    const row = { path, line, fold, kind, status, incarnation, restarts, mailbox, last: null, until: 0 };
    this._rows.set(path, row);
    return row;
  }

  _more(path, count, depth) {
    const cell = element('td', 'soft', `… and ${count} more`);
    cell.colSpan = 5;
    cell.style.setProperty('--depth', depth);
    return { path: `${path}/…`, line: element('tr', 'more', cell) };
  }

  _toggle(path) {
    if (!this._folded.delete(path)) this._folded.add(path);
    this.show(this._tree, performance.now());
  }
}

function fill(row, node, folded, now) {
  const { restarts } = node;
  if (row.last !== null && restarts > row.last) row.until = now + ROSE;
  row.last = restarts;
  row.line.className = now < row.until ? 'rose' : '';
  row.fold.hidden = node.children.length === 0;
  row.fold.setAttribute('aria-expanded', String(!folded));
  write(row.kind, remark(node, folded));
  row.status.dataset.status = node.status;
  write(row.status, node.status);
  write(row.incarnation, String(node.incarnation));
  write(row.restarts, restarts ? String(restarts) : '–');
  row.restarts.classList.toggle('some', restarts > 0);
  const box = node.statistics && node.statistics.mailbox;
  write(row.mailbox, box ? `${box.waiting} · ${box.high_water}` : '');
  row.mailbox.classList.toggle('waits', Boolean(box && box.waiting));
  row.mailbox.title = box ? `${box.waiting} wait; at most ${box.high_water} of ${box.max_messages} did` : '';
}

function remark({ kind, children, detail }, folded) {
  const parts = [kind];
  if (detail && typeof detail.members === 'number') parts.push(`${detail.members} in it`);
  if (folded) parts.push(`${children.length} below`);
  if (detail && detail.last_exit) parts.push(`last exit: ${detail.last_exit}`);
  return parts.join(' · ');
}

/** The children to show, in their order: troubled ones before those that just run. */
function mostTelling(children) {
  if (children.length <= CHILDREN) return children;
  const trouble = (node) => (node.status === 'running' ? 0 : 1e9) + node.restarts;
  const chosen = new Set([...children].sort((a, b) => trouble(b) - trouble(a)).slice(0, CHILDREN));
  return children.filter((child) => chosen.has(child));
}
