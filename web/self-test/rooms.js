/* The panel of rooms: joining, leaving, saying something. */

import { byId, element, readJson, say, sentenceOf } from './dom.js';

export function showRooms(session) {
  const note = byId('rooms-note');
  const join = byId('join');
  const emit = byId('emit');

  const attempt = async (act) => {
    say(note, '');
    try {
      await act();
    } catch (error) {
      say(note, sentenceOf(error), 'bad');
    }
  };

  join.addEventListener('submit', (event) => {
    event.preventDefault();
    attempt(() => session.join(join.elements.room.value.trim()));
  });
  emit.addEventListener('submit', (event) => {
    event.preventDefault();
    attempt(() => sayIt(session, emit.elements, note));
  });

  let shown = '';
  session.addEventListener('change', () => {
    const rooms = [...session.rooms].sort();
    const key = JSON.stringify(rooms);
    if (key === shown) return; // a button that is made anew loses the focus
    shown = key;
    byId('joined').replaceChildren(...rooms.map((room) => tag(room, () => attempt(() => session.leave(room)))));
  });
}

async function sayIt(session, { event, data, room }, note) {
  const { value, problem } = readJson(data, 'The data');
  if (problem) {
    say(note, problem, 'bad');
    return;
  }
  await session.emit(event.value.trim(), value, room.value.trim() || undefined);
}

function tag(room, leave) {
  const button = element('button', 'quiet', 'Leave');
  button.type = 'button';
  button.setAttribute('aria-label', `Leave ${room}`);
  button.addEventListener('click', leave);
  return element('li', '', element('code', '', room), button);
}
