/* The panel for REST: one request at a time, and what came back. */

import { byId, inMs, readJson, say, sentenceOf, write } from './dom.js';

const TIMEOUT = 10_000; // ms
const SHOWN = 100_000; // characters of an answer

export function showRest(session) {
  const form = byId('request');
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    send(session, form);
  });
}

async function send(session, form) {
  const note = byId('rest-note');
  const button = form.querySelector('[type=submit]');
  const request = readRequest(form.elements, session);
  byId('answer').hidden = true;
  if (request.problem) {
    say(note, request.problem, 'bad');
    return;
  }
  say(note, 'Waiting for the answer.');
  button.disabled = true;
  try {
    const startedAt = performance.now();
    const response = await fetch(request.url, { ...request.init, signal: AbortSignal.timeout(TIMEOUT) });
    const text = await response.text();
    show(note, response, text, performance.now() - startedAt);
  } catch (error) {
    const late = error.name === 'TimeoutError' ? `no answer in ${TIMEOUT / 1000} s` : sentenceOf(error);
    say(note, `The request failed: ${late}. Does the pod still run?`, 'bad');
  } finally {
    button.disabled = false;
  }
}

function readRequest({ method, path, body, headers, signed }, session) {
  const url = new URL(path.value.trim(), location.origin);
  if (url.origin !== location.origin || !path.value.trim().startsWith('/')) {
    return { problem: "Begin the path with '/': this page speaks to its own pod alone." };
  }
  const fields = readHeaders(headers.value);
  if (fields.problem) return fields;
  const { value, problem } = readJson(body, 'The body');
  if (problem) return { problem };
  if (value !== undefined && method.value === 'GET') {
    return { problem: 'A GET carries no body: empty it, or choose another method.' };
  }
  const json = value === undefined ? {} : { 'Content-Type': 'application/json' };
  const proof = signed.checked ? session.headers() : {};
  const init = { method: method.value, headers: { ...proof, ...json, ...fields.headers } };
  return { url, init: value === undefined ? init : { ...init, body: JSON.stringify(value) } };
}

function readHeaders(text) {
  const headers = {};
  for (const line of text.split('\n').filter((one) => one.trim())) {
    const [, name, value] = /^([!#$%&'*+.^`|~\w-]+)\s*:\s*(.*)$/.exec(line.trim()) || [];
    if (!name) return { problem: `Write a header as 'Name: value', not '${line.trim()}'.` };
    headers[name] = value;
  }
  return { headers };
}

function show(note, response, text, took) {
  const kind = (response.headers.get('Content-Type') || 'no type').split(';')[0];
  const status = `${response.status} ${response.statusText}`.trim();
  const size = `${new TextEncoder().encode(text).length} bytes`;
  say(note, [status, inMs(took), size, kind].join(' · '), response.ok ? 'good' : 'bad');
  const answer = byId('answer');
  answer.hidden = text === '';
  write(answer, pretty(text));
}

function pretty(text) {
  let shown = text;
  try {
    shown = JSON.stringify(JSON.parse(text), null, 2);
  } catch (_) {
    // It is no JSON: shown as it came.
  }
  return shown.length > SHOWN ? `${shown.slice(0, SHOWN)}\n… ${shown.length - SHOWN} characters more` : shown;
}
