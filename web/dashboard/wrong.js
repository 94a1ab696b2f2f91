/* What is wrong, since when, what it cost so far, and where help stands: the worst in one banner. */

import { byId, element, write } from '/self-test/dom.js';
import { keyed } from './keyed.js';
import { clock, costs, time } from './words.js';

/** Show what the pod says is wrong at a time of its own clock (unix seconds), the worst first. */
export function showWrong(wrong, now) {
  const make = () => element('li', '', element('strong'), ' ', element('span'), ' ', element('a'));
  keyed(byId('alarms'), wrong, (one) => one.key, make, (item, one) => {
    const [sentence, since, help] = item.children;
    write(sentence, one.sentence);
    const cost = costs(one.cost);
    write(since, `For ${time(Math.max(0, now - one.at))}, since ${clock(one.at)}.${cost ? ` So far: ${cost}.` : ''}`);
    help.hidden = !one.runbook;
    help.href = `/_dashboard/runbooks#${encodeURIComponent(one.runbook)}`;
    write(help, 'What to do');
  });
  byId('calm').hidden = wrong.length > 0;
}
