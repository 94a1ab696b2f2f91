/*
 * Runs what was typed into the scratchpad. This file is served with a policy that allows to
 * evaluate text; no other part of the page has it. All that is printed goes to the page.
 */
'use strict';

importScripts('/dpd.js');

const LINES = 2000; // printed in one run: a loop that prints must not bury the page
const LENGTH = 10_000; // characters of one line
let printed = 0;

function print(kind, ...values) {
  printed += 1;
  if (printed > LINES) return;
  const text = printed === LINES ? 'That was a lot; nothing more is printed.' : values.map(inWords).join(' ');
  postMessage({ kind, text: text.slice(0, LENGTH) });
}

function inWords(value) {
  if (typeof value === 'string') return value;
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  try {
    return JSON.stringify(value) ?? String(value);
  } catch (_) {
    return String(value); // it goes in circles
  }
}

for (const kind of ['log', 'info', 'debug', 'warn', 'error']) {
  console[kind] = (...values) => print(kind === 'error' || kind === 'warn' ? kind : 'log', ...values);
}
self.addEventListener('unhandledrejection', (event) => {
  event.preventDefault();
  print('error', event.reason);
});
self.addEventListener('error', (event) => {
  event.preventDefault();
  print('error', event.error || event.message);
});

/** What the specification's examples call for a user interface: here they say what they were told. */
const STAND_INS = Object.fromEntries(
  ['updateTodoList', 'updateTodoItem', 'removeTodoItem', 'showNotification'].map((name) => [
    name,
    (...values) => print('log', `${name}(${values.map(inWords).join(', ')})`),
  ]),
);

self.onmessage = async ({ data: { code, token } }) => {
  const names = { dpd: new Deployd(location.origin, { token }), ...STAND_INS };
  const AsyncFunction = (async () => {}).constructor;
  try {
    // In a block of its own, so that an example may declare its own `dpd`.
    const run = new AsyncFunction(...Object.keys(names), `{\n${code}\n}`);
    const result = await run(...Object.values(names));
    if (result !== undefined) print('log', '→', result);
    postMessage({ kind: 'done', text: 'Ran to its end; its listeners go on until you press Stop.' });
  } catch (error) {
    print('error', error);
    postMessage({ kind: 'done', text: 'Ended with an error, below.' });
  }
};
