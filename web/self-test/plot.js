/* Two small drawings in SVG, by hand: bars for what is counted, a line for what is measured. */

import { write } from './dom.js';

const SVG = 'http://www.w3.org/2000/svg';
const WIDTH = 60;
const HEIGHT = 40;

/** Draw bars; `sentence` is for those who cannot see them. */
export function drawBars(figure, values, shown, sentence) {
  const top = niceTop(Math.max(...values));
  const bars = values.flatMap((value, i) =>
    value > 0 ? [make('rect', { x: i + 0.1, y: up(value, top), width: 0.8, height: HEIGHT - up(value, top) })] : [],
  );
  finish(figure, bars, shown, values.some(Boolean) ? String(top) : '', sentence);
}

/** Draw a line through the values, broken where there is none. */
export function drawLine(figure, values, shown, sentence) {
  const top = niceTop(Math.max(0, ...values.filter((value) => value !== null)));
  const steps = values.map((value, i) => {
    if (value === null) return '';
    const point = `${i + 0.5} ${up(value, top)}`;
    // A point between gaps is a line of no length, which a round cap makes a dot.
    return values[i - 1] === null || i === 0 ? `M${point}L${point}` : `L${point}`;
  });
  const some = values.some((value) => value !== null);
  const path = some ? [make('path', { d: steps.join('') })] : [];
  finish(figure, path, shown, some ? `${top} ms` : '', sentence);
}

/** The next of 1, 2, 5, 10, 20, … that is not below a value. */
export function niceTop(value) {
  const step = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 2, 5, 10].map((factor) => factor * step).find((top) => top >= value);
}

function up(value, top) {
  return Number((HEIGHT * (1 - value / top)).toFixed(2));
}

function make(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function finish(figure, shapes, shown, most, sentence) {
  const svg = figure.querySelector('svg');
  svg.replaceChildren(...shapes);
  svg.setAttribute('aria-label', sentence);
  write(figure.querySelector('[data-value]'), shown);
  write(figure.querySelector('[data-most]'), most);
}
