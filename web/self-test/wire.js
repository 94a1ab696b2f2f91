/*
 * What passes over the socket of this page: dpd.js takes any class of WebSocket, and is given one
 * that tells. So the log shows what was really sent, and times it where it leaves and arrives.
 */

const REMEMBERED = 1000; // sent messages that may wait for an answer

/**
 * Tells 'sent', 'answered' and 'received' with an entry: `direction`, `at` (unix ms), `type`,
 * `event`, `room`, `data`, `latency` (ms until the answer, null before), `scope`, `error`,
 * `code` of the error, `eventId`; and where there is an answer `sentAt` and the `answer` itself.
 */
export class Wire extends EventTarget {
  constructor() {
    super();
    this._unanswered = new Map();
    const wire = this;
    this.WebSocket = class extends WebSocket {
      constructor(address) {
        super(address);
        wire._forget();
        this.addEventListener('message', ({ data }) => wire._received(data, performance.now()));
        this.addEventListener('close', () => wire._forget());
      }

      send(text) {
        const sentAt = performance.now();
        super.send(text);
        wire._sent(JSON.parse(text), sentAt);
      }
    };
  }

  _sent(message, sentAt) {
    const entry = makeEntry('out', message);
    if (message.id !== undefined && this._unanswered.size < REMEMBERED) {
      this._unanswered.set(message.id, { entry, sentAt });
    }
    this._tell('sent', entry);
  }

  _received(text, arrivedAt) {
    const message = parseObject(text);
    const data = message.data || {};
    const said = { error: message.error || '', code: (message.error && data.code) || '' };
    const asked = this._unanswered.get(message.id);
    if (!asked) {
      this._tell('received', { ...makeEntry('in', message), ...said, arrivedAt });
      return;
    }
    this._unanswered.delete(message.id);
    const { entry, sentAt } = asked;
    Object.assign(entry, { ...said, latency: arrivedAt - sentAt, sentAt, answer: message });
    if (message.type === 'receipt') Object.assign(entry, { scope: data.scope, eventId: data.id });
    this._tell('answered', entry);
  }

  /** Nobody answers over another socket. */
  _forget() {
    for (const { entry } of this._unanswered.values()) {
      entry.error = 'The connection ended before the answer came.';
      this._tell('answered', entry);
    }
    this._unanswered.clear();
  }

  _tell(type, entry) {
    this.dispatchEvent(new CustomEvent(type, { detail: entry }));
  }
}

function makeEntry(direction, message) {
  const { type, event = '', room = '', data, meta } = message;
  const shown = type === 'auth' ? undefined : data; // and never its token
  const told = { type, event, room, data: shown, eventId: (meta && meta.id) || '' };
  return { direction, at: Date.now(), latency: null, scope: '', error: '', code: '', ...told };
}

function parseObject(text) {
  try {
    return Object(JSON.parse(text));
  } catch (_) {
    return { type: 'error', error: 'The pod sent something that is not JSON.' };
  }
}
