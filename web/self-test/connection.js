/* The panel of the connection: its state, and signing in. */

import { byId, say, sentenceOf, write } from './dom.js';

const STATES = {
  off: ['not connected', ''],
  connecting: ['connecting', 'busy'],
  on: ['connected', 'good'],
  waiting: ['connection lost', 'bad'],
};

export function showConnection(session) {
  const note = byId('connection-note');

  byId('connect').addEventListener('click', () => session.connect());
  byId('disconnect').addEventListener('click', () => {
    say(note, '');
    session.disconnect();
  });
  byId('sign-out').addEventListener('click', () => {
    session.signOut();
    say(note, 'You are nobody again.');
  });
  byId('ways').addEventListener('change', showWay);
  for (const form of document.querySelectorAll('form[data-way]')) {
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      signIn(session, form, note);
    });
  }
  session.addEventListener('failed', ({ detail }) => say(note, detail, 'bad'));
  session.addEventListener('change', () => show(session));
  showWay(); // a browser may have kept the choice over a reload
  show(session);
  tellPod();
}

function show(session) {
  const { state, because, identity, token } = session;
  const [name, kind] = STATES[state];
  write(byId('state'), because ? `${name}: ${because}` : name);
  write(byId('summary'), name);
  byId('state-dot').className = `dot ${kind}`;
  write(byId('client-id'), session.clientId || 'none');
  write(byId('identity'), describe(identity));
  byId('connect').disabled = state !== 'off';
  byId('disconnect').disabled = state === 'off';
  byId('sign-out').disabled = !token;
}

function describe(identity) {
  if (!identity) return 'as nobody';
  return `as ${identity.user_id}${identity.is_root ? ', who is root' : ''}`;
}

function showWay() {
  const way = byId('ways').querySelector(':checked').value;
  for (const form of document.querySelectorAll('form[data-way]')) form.hidden = form.dataset.way !== way;
}

async function signIn(session, form, note) {
  const fields = [...form.querySelectorAll('input')];
  const empty = fields.find((field) => field.value.trim() === '');
  if (empty) {
    empty.focus();
    say(note, 'Fill in what you sign in with.', 'bad');
    return;
  }
  say(note, '');
  const [first, second] = fields.map((field) => field.value);
  try {
    if (form.dataset.way === 'token') session.useToken(first.trim());
    else if (form.dataset.way === 'password') await session.login({ username: first, password: second });
    else await session.login({ masterKey: first.trim() });
    fields[fields.length - 1].value = '';
  } catch (error) {
    say(note, sentenceOf(error), 'bad');
  }
}

async function tellPod() {
  try {
    write(byId('pod'), (await (await fetch('/health/live')).json()).pod);
  } catch (error) {
    write(byId('pod'), 'unreachable');
  }
}
