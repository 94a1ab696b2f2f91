/* The last hour, as the pod has kept it: how it was, and what was wrong when. */

import { byId, element, write } from '/self-test/dom.js';
import { keyed } from './keyed.js';
import { clock, costs, count, none, time } from './words.js';

const SVG = 'http://www.w3.org/2000/svg';
const LINES = [
  ['connections', 'connections', count],
  ['sent', 'messages out, a second', count],
  ['local_p99', 'local latency, p99', time],
];
const HEIGHT = 40; // of a line
const LISTED = 30;
const YOUNG = 600; // s that are drawn at least

export function showTimeline({ at, span: hour, names, points, episodes }) {
  const oldest = Math.min(points[0]?.[0] ?? at, episodes[0]?.at ?? at);
  const span = Math.min(hour, Math.max(YOUNG, at - oldest)); // a young pod fills the width sooner
  const begins = at - span;
  const moment = (one) => one.until === one.at;
  const bands = episodes.filter((one) => !moment(one));
  const marks = episodes.filter(moment);
  keyed(byId('timeline'), LINES, ([name]) => name, drawing, (figure, [name, title, say]) => {
    const [caption, svg] = figure.children;
    const place = names.indexOf(name) + 1;
    const values = points.map((point) => [point[0] - begins, point[place]]);
    const known = values.map(([, value]) => value).filter((value) => typeof value === 'number');
    const most = Math.max(0, ...known);
    write(caption, `${title}: ${known.length ? `at most ${say(most)}` : none}`);
    draw(svg, span, values, most, bands, marks, begins, at);
  });
  write(byId('timeline-from'), clock(begins));
  write(byId('timeline-to'), clock(at));
  const newest = [...episodes].reverse().slice(0, LISTED);
  keyed(byId('episodes'), newest, (one) => `${one.key} ${one.at}`, () => element('li', '', element('time'), ' ', element('span')), (item, one) => {
    const [when, what] = item.children;
    item.dataset.kind = moment(one) ? 'moment' : one.until === null ? 'now' : 'over';
    write(when, moment(one) ? clock(one.at) : `${clock(one.at)} \u2013 ${one.until === null ? 'now' : clock(one.until)}`);
    const cost = costs(one.cost);
    write(what, `${one.sentence}${cost ? ` (${cost})` : ''}`);
  });
  byId('episodes-none').hidden = newest.length > 0;
}

function drawing() {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('aria-hidden', 'true'); // the list below says it
  return element('figure', '', element('figcaption'), svg);
}

function draw(svg, span, values, most, bands, marks, begins, at) {
  svg.setAttribute('viewBox', `0 0 ${span} ${HEIGHT}`);
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', line(values, most));
  svg.replaceChildren(
    ...bands.map((one) => box(one.at - begins, Math.max(8, (one.until ?? at) - one.at), 'band')),
    ...marks.map((one) => stroke(one.at - begins)), path);
}

/** A moment: as wide on the screen however long the time is that is drawn. */
function stroke(x) {
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', `M${Math.max(0, x).toFixed(0)} 0V${HEIGHT}`);
  path.setAttribute('class', 'mark');
  return path;
}

function box(x, width, kind) {
  const rect = document.createElementNS(SVG, 'rect');
  const shape = { x: Math.max(0, x), y: 0, width: Math.max(4, width + Math.min(0, x)), height: HEIGHT, class: kind };
  for (const [name, value] of Object.entries(shape)) rect.setAttribute(name, value);
  return rect;
}

/** A line through the points; where there was none for a while, or nothing to tell, it is broken. */
export function line(values, most) {
  let last = -Infinity;
  let drawn = '';
  for (const [x, value] of values) {
    if (typeof value !== 'number') continue;
    const y = HEIGHT - 1 - (most ? ((HEIGHT - 2) * value) / most : 0);
    drawn += `${x - last > 25 ? 'M' : 'L'}${x.toFixed(0)} ${y.toFixed(1)}`;
    last = x;
  }
  return drawn;
}
