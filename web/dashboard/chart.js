/* Small drawings of the last five minutes. Where nothing was heard, nothing is drawn. */

import { element, write } from '/self-test/dom.js';

const SPAN = 300_000; // ms
const GAP = 4000; // ms without a figure that are a hole in the line
const SVG = 'http://www.w3.org/2000/svg';

export class Chart {
  constructor(parent, title, show) {
    this._show = show;
    this._points = [];
    this._value = element('strong', '', '–');
    this._most = element('span', 'soft');
    this._svg = document.createElementNS(SVG, 'svg');
    this._path = document.createElementNS(SVG, 'path');
    this._svg.setAttribute('viewBox', '0 0 300 48');
    this._svg.setAttribute('preserveAspectRatio', 'none');
    this._svg.setAttribute('aria-hidden', 'true'); // the figures say it
    this._svg.append(this._path);
    const caption = element('figcaption', '', this._value, ` ${title}`);
    parent.append(element('figure', '', caption, this._svg, this._most));
  }

  add(at, value) {
    if (typeof value === 'number') this._points.push([at, value]);
    while (this._points.length && this._points[0][0] < at - SPAN) this._points.shift();
    const most = Math.max(0, ...this._points.map(([, v]) => v));
    this._path.setAttribute('d', line(this._points, at, most));
    write(this._value, this._show(value));
    write(this._most, `5 min · at most ${this._show(this._points.length ? most : null)}`);
  }
}

export function line(points, now, most) {
  let last = -Infinity;
  return points.map(([at, value]) => {
    const x = 300 - (now - at) / 1000;
    const y = 47 - (most ? (46 * value) / most : 0);
    const pen = at - last > GAP ? 'M' : 'L';
    last = at;
    return `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
  }).join('');
}
