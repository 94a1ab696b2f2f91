/* The button that crashes a room, so that one sees it come back with everybody in it. */

import { byId, inMs, say, sentenceOf } from './dom.js';

const ROOM = 'self-test-demo';

const MISSING =
  `Nothing fails: no demo room is bound to '${ROOM}' here. Start the pod with ` +
  "'deployd serve --dev', which binds one.";

export function showCrash(session, wire) {
  const note = byId('crash-note');
  let back = null; // what the room said when it came back
  wire.addEventListener('received', ({ detail: { event, room, data } }) => {
    if (room === ROOM && event === 'back') back = data;
  });

  byId('crash').addEventListener('click', async () => {
    say(note, '');
    back = null;
    const startedAt = performance.now();
    try {
      if (!session.rooms.has(ROOM)) await session.join(ROOM);
      await session.emit('crash', null, ROOM);
      say(note, MISSING, 'bad');
    } catch (error) {
      if (error.code === 'room_crashed') await tell(note, () => back, performance.now() - startedAt);
      else say(note, sentenceOf(error), 'bad');
    }
  });
}

/** The error and the word of the new incarnation come over one socket, within moments. */
async function tell(note, back, took) {
  for (let tries = 0; tries < 50 && back() === null; tries += 1) await pause(20);
  const said = back();
  const error = `It failed on that message, and said so after ${inMs(took)}.`;
  if (!said) return say(note, `${error} It has not come back within a second.`, 'bad');
  const members = said.members === 1 ? 'its one member' : `all ${said.members} members`;
  const heard = said.heard === 1 ? 'one message' : `${said.heard} messages`;
  const sentence = `It is back as incarnation ${said.incarnation} with ${members}, and still knows that it heard ${heard}.`;
  return say(note, `${error} ${sentence}`, 'good');
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
