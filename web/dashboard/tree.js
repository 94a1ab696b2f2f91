/* The supervision tree as lists that fold, the unwell first. */

import { byId, element, write } from '/self-test/dom.js';
import { keyed } from './keyed.js';

const CHILDREN = 50; // shown of one supervisor

function unwell(node) {
  const own = (node.status === 'running' ? 0 : 1e9) + (node.restarts || 0);
  return (node.children || []).reduce((worst, child) => Math.max(worst, unwell(child)), own);
}

export function showTree(root) {
  branch(byId('tree'), [root], 0);
}

function branch(list, nodes, depth) {
  const sick = new Map(nodes.map((node) => [node, unwell(node)]));
  const sorted = [...nodes].sort((a, b) => sick.get(b) - sick.get(a));
  const shown = sorted.slice(0, CHILDREN);
  if (sorted.length > CHILDREN) shown.push({ path: '…', more: sorted.length - CHILDREN });
  const make = (node) => (node.children?.length ? folding(depth) : element('li', '', element('span')));
  // A node that gets its first child, or loses its last, is another element.
  const key = (node) => `${node.path}${node.children?.length ? '/' : ''}`;
  keyed(list, shown, key, make, (item, node) => {
    item.className = sick.get(node) ? 'unwell' : '';
    const label = node.children?.length ? item.firstChild.firstChild : item.firstChild;
    write(label, words(node));
    if (node.children?.length) branch(item.firstChild.lastChild, node.children, depth + 1);
  });
}

function folding(depth) {
  const details = element('details', '', element('summary'), element('ul'));
  details.open = depth < 1;
  return element('li', '', details);
}

function words(node) {
  if (node.more) return `and ${node.more} more`;
  const parts = [`${node.path} · ${node.kind} · ${node.status}`];
  if (node.restarts) parts.push(`${node.restarts} restarts`);
  if (node.detail?.last_exit) parts.push(`last exit: ${node.detail.last_exit}`);
  if (node.children?.length) parts.push(`${node.children.length} below`);
  return parts.join(' · ');
}
