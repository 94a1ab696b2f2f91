/*
 * The scratchpad. Its code runs in a worker, not in this page: the worker is served with a policy
 * of its own that lets it evaluate what was typed, so this page needs no 'unsafe-eval'; it sees no
 * fields and no master key; and a loop that never ends is ended by Stop.
 */

import { byId, element, say } from './dom.js';
import { EXAMPLES } from './examples.js';

const LINES = 500;

export function showScratchpad(session) {
  const [code, run, stop, output, select] = ['code', 'run', 'stop', 'output', 'example'].map(byId);
  const note = byId('scratchpad-note');
  let worker = null;
  let lines = []; // the last ones, drawn once a frame
  let frame = null;

  const end = (sentence) => {
    if (worker) worker.terminate();
    worker = null;
    stop.disabled = true;
    say(note, sentence);
  };
  const print = (kind, text) => {
    lines.push(element('span', `printed-${kind}`, `${text}\n`));
    lines = lines.slice(-LINES);
    frame = frame ?? requestAnimationFrame(draw);
  };
  const draw = () => {
    frame = null;
    output.replaceChildren(...lines);
    output.scrollTop = output.scrollHeight;
  };
  const start = () => {
    end('');
    lines = [];
    draw();
    output.hidden = false;
    stop.disabled = false;
    worker = new Worker('/self-test/worker.js', { name: 'scratchpad' });
    worker.onmessage = ({ data: { kind, text } }) => {
      if (kind === 'done') say(note, text);
      else print(kind, text);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      end('');
      say(note, `The worker could not start: ${event.message || 'its script did not load'}.`, 'bad');
    };
    worker.postMessage({ code: code.value, token: session.token });
    say(note, 'Runs.');
  };

  select.append(...EXAMPLES.map(({ title }) => new Option(title)));
  select.addEventListener('change', () => (code.value = EXAMPLES[select.selectedIndex].code));
  select.selectedIndex = 0;
  code.value = EXAMPLES[0].code;
  run.addEventListener('click', start);
  stop.addEventListener('click', () => end('Stopped.'));
  code.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    start();
  });
}
