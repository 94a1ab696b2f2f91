/* Lists that keep their elements: what stays keeps its focus, its fold and its selection. */

import { element, write } from '/self-test/dom.js';

/** Let `parent` hold one element an item, in order; `make()` makes one, `fill(element, item)` fills it. */
export function keyed(parent, items, key, make, fill) {
  const known = (parent.known = parent.known || new Map());
  const wanted = new Map(items.map((item) => [key(item), item]));
  for (const [name, one] of known) if (!wanted.has(name)) (one.remove(), known.delete(name));
  let i = 0;
  for (const [name, item] of wanted) {
    if (!known.has(name)) known.set(name, make(item));
    const one = known.get(name);
    if (parent.children[i] !== one) parent.insertBefore(one, parent.children[i] || null);
    fill(one, item);
    i += 1;
  }
}

/** Rows of texts, the first the head and the key; `none` stands where there are none. */
export function table(body, rows, none = 'none') {
  const shown = rows.length ? rows : [[none]];
  const columns = body.parentElement.tHead.rows[0].cells.length;
  const make = (cells) => {
    const head = element('th');
    head.scope = 'row';
    head.colSpan = 1 + columns - cells.length;
    return element('tr', '', head, ...cells.slice(1).map(() => element('td')));
  };
  const fill = (row, cells) => cells.forEach((text, i) => write(row.children[i], String(text)));
  keyed(body, shown, (cells) => `${cells.length} ${cells[0]}`, make, fill);
}

/** Pairs of a name and a text. */
export function facts(list, all) {
  const make = () => element('div', '', element('dt'), element('dd'));
  const fill = (one, cells) => cells.forEach((text, i) => write(one.children[i], String(text)));
  keyed(list, all, ([name]) => name, make, fill);
}
