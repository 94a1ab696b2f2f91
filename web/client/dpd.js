/*
 * dpd.js: the client of a deployd pod, for browsers and Node. One file, nothing to build.
 *
 *   const dpd = new Deployd('http://localhost:2403');
 *   dpd.todos.on('created', (todo) => console.log(todo.title));
 *   await dpd.todos.post({ title: 'Water the plants' });
 *
 * Read it from top to bottom: decisions (pure), listeners and promises, REST, rooms, the socket,
 * Deployd. Times are in milliseconds, but for `retryAfter`, which is in seconds as HTTP has it.
 */
(function () {
  'use strict';

  const CHANGES = Object.freeze(['created', 'updated', 'deleted']);
  const OWN_EVENTS = Object.freeze([
    'connect', 'disconnect', 'reconnecting', 'expired', 'degraded', 'healed', 'error',
  ]);
  const COLLECTION_NAME = /^[A-Za-z][\w-]*$/;
  const TIMEOUT = 10_000; // for an answer, a greeting, a receipt
  const HEARTBEAT = 25_000; // of silence, after which the pod is asked whether it is there
  const LATE = 1_000; // a timer that is so late stood still, and so did what it waited for
  const BACKOFF_BASE = 500;
  const BACKOFF_CAP = 20_000;
  const LASTED = 5_000; // a connection that lived so long was a good one
  const RETRY_AFTER_CAP = 300_000; // whatever a server asks for, a client comes back some time
  const HURRY = 1_000; // what calls connect() sooner after a loss is a program, not somebody
  const TRIES = 3; // of what is not answered, until the application is told
  const AT_ONCE = 16; // joins and leaves that may be without an answer
  const PAUSE = 1_000; // the least after a pod has said that this is too fast
  const CLOSING = 2_000; // how long a connection may take to close before it is cut
  const MAX_UNANSWERED = 10_000;
  const LONGEST_QUERY = 4_000; // characters in a URL; a longer query goes in a body
  const LONGEST_TIMER = 2 ** 31 - 1; // beyond it a timer fires at once

  // What the pod may answer differently in a moment, without anything else having changed.
  const PASSING = Object.freeze(['timeout', 'busy', 'room_busy', 'room_crashed', 'cut_off']);

  // -- Decisions: no clock, no socket ----------------------------------------------------------

  /**
   * Decide what follows the end of a connection; `attempt` counts the failures before it. The wait
   * is random below a bound that doubles (full jitter), on top of what a close reason
   * `retry_after=<seconds>` asks for, which is the `least`. Codes 4500 to 4999 mean "not like
   * this": the client comes back only when told to, at once the first time.
   */
  function afterClose({ code, reason = '', lasted = 0 }, attempt, random = Math.random) {
    const final = code >= 4500 && code <= 4999;
    const failures = lasted >= LASTED ? 0 : attempt;
    const asked = /\bretry_after=(\d+(?:\.\d+)?)/.exec(reason);
    const least = asked && !final ? Math.min(Number(asked[1]) * 1000, RETRY_AFTER_CAP) : 0;
    const jitter = final && failures === 0 ? 0 : backoff(failures, random);
    return { final, least, wait: least + jitter, attempt: failures + 1 };
  }

  /** A wait after so many failures: anything below a bound that doubles. */
  function backoff(failures, random) {
    return random() * Math.min(BACKOFF_CAP, BACKOFF_BASE * 2 ** failures);
  }

  /**
   * How many requests about rooms may be out at once, and from when on: half as many, and after a
   * pause, once the pod has said that this is too fast; one more when all of them were answered.
   */
  class Pace {
    constructor() {
      Object.assign(this, { atOnce: AT_ONCE, out: 0, from: 0 });
    }

    answered() {
      this.out -= 1;
      this.atOnce = Math.min(AT_ONCE, this.atOnce + 1 / this.atOnce);
    }

    tooFast(now, retryAfter = 0) {
      if (now >= this.from) this.atOnce = Math.max(1, this.atOnce / 2);
      const pause = Math.min(Math.max(retryAfter * 1000, PAUSE), RETRY_AFTER_CAP);
      this.from = Math.max(this.from, now + pause);
    }
  }

  /** Write a query as URL parameters: nested objects dotted, everything else as JSON. */
  function encodeQuery(query) {
    const parameters = new URLSearchParams();
    const put = (path, value) => {
      const keys = isPlain(value) ? Object.keys(value) : [];
      for (const key of keys) put(`${path}.${key}`, value[key]);
      if (keys.length === 0) parameters.append(path, writeJson(value));
    };
    for (const key of Object.keys(checkedQuery(query))) put(key, query[key]);
    return parameters.toString();
  }

  /**
   * A query without what JSON has no way to say: a condition on `undefined` would be none at all,
   * and one on NaN ask for null.
   */
  function checkedQuery(query) {
    const check = (value, place) => {
      const missing = value === undefined || typeof value === 'function' || typeof value === 'symbol';
      if (missing || (typeof value === 'number' && !Number.isFinite(value))) {
        const what = place ? `'${place}' is ${String(value)}` : `the query is ${String(value)}`;
        throw new TypeError(`Ask for something that JSON can say: ${what}. null is what is not there.`);
      }
      const inside = Array.isArray(value) || isPlain(value) ? Object.keys(value) : [];
      for (const key of inside) check(value[key], place ? `${place}.${key}` : key);
    };
    check(query, '');
    return query;
  }

  function isPlain(value) {
    if (typeof value !== 'object' || value === null) return false;
    const prototype = Object.getPrototypeOf(value);
    return prototype === null || Object.getPrototypeOf(prototype) === null;
  }

  function parseJson(text) {
    try {
      return JSON.parse(text);
    } catch (_) {
      return undefined; // which JSON cannot say
    }
  }

  /** JSON in which half a surrogate pair, which no text can hold, is U+FFFD. */
  function writeJson(value) {
    const text = JSON.stringify(value);
    if (text === undefined || !text.includes('\\ud')) return text;
    const whole = (escape) => (escape.length > 2 ? '\ufffd' : escape);
    return text.replace(/\\(?:ud[89a-f][\da-f]{2}|.)/g, whole);
  }

  /** Whether a text has more bytes than `limit` in UTF-8. */
  function isLonger(text, limit) {
    return text.length * 3 > limit && new TextEncoder().encode(text).length > limit;
  }

  /** The pod's address without a slash at its end; by default the one the page came from. */
  function checkedUrl(url) {
    const text = url === undefined && typeof location === 'object' ? location.origin : url;
    const [, address] = /^(https?:\/\/[^/?#\s]+[^?#\s]*?)\/*$/i.exec(String(text)) || [];
    if (address) return address;
    throw new TypeError("Give the pod's address: new Deployd('http://localhost:2403').");
  }

  /** An id that is one: an empty one, or a step in a path, would ask for something else. */
  function checkedId(id) {
    const text = typeof id === 'number' ? String(id) : id;
    const whole = typeof text === 'string' && text !== '' && !/\p{Surrogate}/u.test(text);
    if (whole && !/^\.\.?$/.test(text)) return text;
    throw new TypeError(`Give the id of a document, not ${JSON.stringify(id)}.`);
  }

  /** Where changes are told: those of all collections in the room `collections`. */
  function roomOf(collection) {
    return collection === 'collections' ? collection : `collection:${collection}`;
  }

  /** `Retry-After` (RFC 9110 section 10.2.3) in seconds, or undefined. */
  function readRetryAfter(header, now) {
    const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - now) / 1000;
    return Number.isNaN(seconds) ? undefined : Math.max(0, seconds);
  }

  /** What the pod says went wrong: its sentence, and for programs `code`, `room`, … and `data`. */
  function errorIn({ error, data, room }) {
    const { code, retryAfter, document, ...more } = isPlain(data) ? data : {};
    const details = {};
    if (Object.keys(more).length > 0) details.data = more;
    if (typeof room === 'string') details.room = room;
    if (Number.isFinite(retryAfter)) details.retryAfter = retryAfter;
    if (typeof document === 'string') details.document = document;
    return new DeploydError(String(error), code, details);
  }

  // -- Listeners and promises --------------------------------------------------------------------

  /** `status` is HTTP's (0: no answer came); `code` is the pod's or `disconnected`, `timeout`, … */
  class DeploydError extends Error {
    constructor(message, code, details) {
      super(message);
      Object.assign(this, { name: 'DeploydError', code }, details);
    }

    get statusCode() {
      return this.status;
    }
  }

  /** Functions by event. One that throws does not keep the others from being called. */
  class Listeners {
    constructor(report) {
      this._report = report;
      this._byEvent = new Map();
    }

    get empty() {
      return this._byEvent.size === 0;
    }

    add(event, listener, once) {
      if (typeof listener !== 'function') throw new TypeError(`Give a function for '${event}'.`);
      this._byEvent.set(event, [...(this._byEvent.get(event) || []), { listener, once }]);
    }

    /** Take one `add` back, the last of that listener; without one, or an event, all there are. */
    remove(event, listener) {
      if (event === undefined) return this._byEvent.clear();
      const entries = this._byEvent.get(event) || [];
      const last = entries.map((entry) => entry.listener).lastIndexOf(listener);
      this._keep(event, (entry) => listener !== undefined && entry !== entries[last]);
    }

    /** Call the listeners of an event; say whether there was one. */
    tell(event, ...values) {
      const entries = this._byEvent.get(event) || [];
      const report = event === 'error' ? console.error : this._report; // not in circles
      for (const entry of entries) {
        if (entry.once) this._keep(event, (other) => other !== entry);
        callSafely(entry.listener, values, report);
      }
      return entries.length > 0;
    }

    _keep(event, wanted) {
      const kept = (this._byEvent.get(event) || []).filter(wanted);
      if (kept.length > 0) this._byEvent.set(event, kept);
      else this._byEvent.delete(event);
    }
  }

  /** Call what the application gave us; what it throws, now or later, is reported. */
  function callSafely(listener, values, report) {
    try {
      const result = listener(...values);
      if (result && typeof result.then === 'function') result.then(undefined, report);
      return result;
    } catch (error) {
      return void report(error);
    }
  }

  /** Let methods take a callback `(result, error)` as their last argument, beside the promise. */
  function takeCallbacks(type, ...names) {
    for (const name of names) {
      const method = type.prototype[name];
      type.prototype[name] = function (...values) {
        const callback = values[values.length - 1];
        if (typeof callback !== 'function') return method.apply(this, values);
        const call = (...outcome) => callSafely(callback, outcome, this._report);
        const promise = method.apply(this, values.slice(0, -1));
        promise.then((result) => call(result, null), (error) => call(null, error));
        return promise;
      };
    }
  }

  /**
   * A promise of the socket's, with its ends open. When it fails and nobody waits for it, `report`
   * is told: a join without `await` must neither end a Node process nor fail in silence.
   */
  class Answer extends Promise {
    static get [Symbol.species]() {
      return Promise;
    }

    static open(report) {
      let ends;
      const answer = new this((resolve, reject) => (ends = { resolve, reject }));
      Object.assign(answer, ends, { awaited: false });
      Promise.prototype.then.call(answer, undefined, (error) => {
        // `await` shows itself only a moment later.
        Promise.resolve().then(() => answer.awaited || report(error));
      });
      return answer;
    }

    then(done, failed) {
      this.awaited = true;
      return super.then(done, failed);
    }

    /** Reject without a report. */
    cancel(error) {
      this.awaited = true;
      this.reject(error);
    }
  }

  /** What a room answers, or null; `receipt` is the promise of the receipt that it came with. */
  class Reply extends Answer {
    static to(receipt, report) {
      const reply = Reply.open(report);
      hide(reply, { _receipt: receipt });
      const answered = ({ answer = null }) => reply.resolve(answer);
      receipt.then(answered, (error) => reply.reject(error));
      return reply;
    }

    get receipt() {
      this.awaited = true;
      return this._receipt;
    }
  }

  /** Set properties that do not show when the object is printed, as the token must not. */
  function hide(object, properties) {
    for (const name of Object.keys(properties)) {
      Object.defineProperty(object, name, { value: properties[name], writable: true });
    }
  }

  // -- REST --------------------------------------------------------------------------------------

  /**
   * The token: in memory, and in a storage only when the application gave one. A storage that
   * fails (it is full, or forbidden) is told of, and nothing else comes of it.
   */
  function openSession(url, { token, storage }, report) {
    const key = `deployd:${url}`;
    const use = (method, ...values) => {
      if (!storage) return undefined;
      return callSafely(() => storage[method](key, ...values), [], (cause) => {
        const why = (cause && cause.message) || String(cause);
        const sentence = `The storage failed, the token is kept in memory alone: ${why}.`;
        report(new DeploydError(sentence, 'storage', { cause }));
      });
    };
    let current = token || readToken(use('getItem'));
    return {
      get token() {
        return current;
      },
      set token(other) {
        current = other || null;
        if (current) use('setItem', current);
        else use('removeItem');
      },
    };
  }

  /** What a storage holds may be anything; no header could carry what is no token. */
  function readToken(kept) {
    return typeof kept === 'string' && /^[\x21-\x7e]+$/.test(kept) ? kept : null;
  }

  /** Send a request and return the answer's JSON; throws `DeploydError` unless it went well. */
  async function request(method, address, data, token, { fetch, clock, timeout }) {
    const headers = { Accept: 'application/json' };
    if (data !== undefined) headers['Content-Type'] = 'application/json';
    if (token) headers.Authorization = `Bearer ${token}`;
    const body = data === undefined ? undefined : writeJson(data);
    const aborter = new AbortController();
    const timer = clock.setTimeout(() => aborter.abort(), timeout);
    try {
      const response = await fetch(address, { method, headers, body, signal: aborter.signal });
      const text = await response.text();
      return readAnswer(response, text, `${method} ${address}`, clock.now());
    } catch (error) {
      if (error instanceof DeploydError) throw error;
      const late = aborter.signal.aborted && `no answer in ${timeout} ms`;
      const why = late || (error.cause && error.cause.message) || error.message;
      const sentence = `${method} ${address}: ${why}. Does a pod listen there?`;
      throw new DeploydError(sentence, 'unanswered', { status: 0, errors: [], cause: error });
    } finally {
      clock.clearTimeout(timer);
    }
  }

  function readAnswer({ ok, status, headers }, text, what, now) {
    const value = text === '' ? null : parseJson(text);
    if (ok && value !== undefined) {
      const cut = headers.get('X-Truncated') === 'true'; // a bound of the pod's left some out
      if (Array.isArray(value)) hide(value, { truncated: cut });
      return value;
    }
    const told = isPlain(value) ? value : {};
    const sentence = `${what}: ${ok ? 'the answer is not JSON' : `HTTP ${status}`}.`;
    throw new DeploydError(told.error || sentence, told.code, {
      status,
      errors: Array.isArray(told.errors) ? told.errors : [],
      retryAfter: readRetryAfter(headers.get('Retry-After'), now),
    });
  }

  /** The documents of one collection, and what happens to them. */
  class Collection {
    constructor(name, client) {
      const listeners = new Listeners(client._report);
      hide(this, { _client: client, _report: client._report, _listeners: listeners });
      Object.freeze(Object.assign(this, { name }));
    }

    /**
     * `get()`, `get(id)` or `get(query)`. Of a list that a bound of the pod's has cut, `truncated`
     * is true; `all` brings the rest.
     */
    async get(...what) {
      if (what.length === 0) return this._find('', {});
      if (what[0] === undefined || isPlain(what[0])) return this._find('', what[0]);
      return this._ask('GET', checkedId(what[0]));
    }

    /**
     * All documents of a query, one after another, in the order of their ids, page by page: by key,
     * so that others may write meanwhile, and none that stays is missed or comes twice.
     */
    async *all(query = {}) {
      const { $limit = Infinity, $fields, ...wanted } = query;
      for (const name of ['$sort', '$skip']) {
        if (name in wanted) throw new TypeError(`all() goes by id: leave ${name} out, or use get().`);
      }
      const options = { $sort: { id: 1 }, ...($fields === undefined ? {} : { $fields }) };
      let [after, left] = [[], $limit];
      while (left > 0) {
        const bound = Number.isFinite(left) ? { $limit: left } : {};
        const page = await this._find('', { $and: [wanted, ...after], ...options, ...bound });
        yield* page;
        if (!page.truncated) return;
        after = [{ id: { $gt: page[page.length - 1].id } }];
        left -= page.length;
      }
    }

    async count(...query) {
      return (await this._find('count', query.length === 0 ? {} : query[0])).count;
    }

    async post(data) {
      return this._ask('POST', '', data);
    }

    /** `put(id, changes)`, or `put(document)` with its `id` in it. */
    async put(first, changes) {
      const [id, data] = isPlain(first) ? [first.id, first] : [first, changes];
      return this._ask('PUT', checkedId(id), data);
    }

    async del(id) {
      return this._ask('DELETE', checkedId(id));
    }

    delete(id) {
      return this.del(id);
    }

    on(event, listener, once = false) {
      if (event !== 'changed' && !CHANGES.includes(event)) {
        const sentence = `'${event}' is none of ${CHANGES.join(', ')} and changed.`;
        throw new TypeError(`A collection tells of these events only: ${sentence}`);
      }
      this._listeners.add(event, listener, once);
      this._client.socket._hold(roomOf(this.name), this);
      return this;
    }

    once(event, listener) {
      return this.on(event, listener, true);
    }

    off(event, listener) {
      this._listeners.remove(event, listener);
      this._leaveUnheard();
      return this;
    }

    /** Ask for what a query wants: in the URL, or in a body where that would be too long. */
    _find(action, query) {
      const parameters = encodeQuery(query);
      if (parameters.length > LONGEST_QUERY) return this._ask('POST', action || 'query', query);
      return this._ask('GET', action, undefined, parameters && `?${parameters}`);
    }

    _ask(method, id, data, parameters = '') {
      const path = `/${encodeURIComponent(this.name)}${id && `/${encodeURIComponent(id)}`}`;
      return this._client._request(method, path + parameters, data);
    }

    /** Take a change from the socket. */
    _tell(type, data, message) {
      this._listeners.tell(type, data, type, message);
      this._listeners.tell('changed', data, type, message);
      this._leaveUnheard(); // somebody may have listened once
    }

    _leaveUnheard() {
      if (this._listeners.empty) this._client.socket._release(roomOf(this.name), this);
    }
  }

  class Users extends Collection {
    login(credentials) {
      return this._client.login(credentials);
    }

    logout() {
      return this._client.logout();
    }

    me() {
      return this._client._request('GET', '/auth/me');
    }
  }

  takeCallbacks(Collection, 'get', 'count', 'post', 'put', 'del', 'delete');
  takeCallbacks(Users, 'login', 'logout', 'me');

  // -- Rooms -------------------------------------------------------------------------------------

  /**
   * A room that somebody wants to be in, or that the pod still has us in. `state` is what the pod
   * knows: 'out', 'joining', 'in', 'leaving', or 'refused', when asking again needs a reason.
   */
  class Room {
    constructor(name, report) {
      this.name = name;
      // 'application', objects of this room, and collections with listeners: what each brings along
      this.holders = new Map();
      this.state = 'out';
      this.known = false; // we have been in it, however long ago
      this.since = null; // when we came in
      this.failures = 0;
      this.from = 0; // not to be asked for before
      this.left = null; // the promise of leave()
      this.gone = false; // the pod had put us out before it heard that we leave
      this.resume = undefined; // what brings us back to our place, where the room keeps it
      this.people = new Map(); // who is there, where the room tells it
      this._report = report;
      this.renew();
    }

    get joined() {
      return this.state === 'in';
    }

    get wanted() {
      return this.holders.size > 0;
    }

    /** Whether listeners of a collection need it: nobody could ask for it again in their place. */
    get listened() {
      return [...this.holders.keys()].some((holder) => holder instanceof Collection);
    }

    /** What the pod's room is told of the wish: what was brought along last. */
    get data() {
      return [...this.holders.values()].filter((one) => one !== undefined).pop();
    }

    hold(holder, data) {
      this.holders.delete(holder); // it is the last one now
      this.holders.set(holder, data);
    }

    /** Forget those who can ask again, as they are told; say whether there was one. */
    dismiss() {
      const before = this.holders.size;
      for (const holder of [...this.holders.keys()]) {
        if (!(holder instanceof Collection)) this.holders.delete(holder);
      }
      return this.holders.size < before;
    }

    /** Take what the room says of who is there. */
    note({ here, came = [], changed = [], went = [] }) {
      if (Array.isArray(here)) this.people.clear();
      for (const person of [here || [], came, changed].flat()) this.people.set(person.user, person);
      for (const person of went) this.people.delete(person.user);
    }

    /** What the pod has to be asked for. */
    get due() {
      if (this.state === 'out' && this.wanted) return 'join';
      return this.state === 'in' && !this.wanted ? 'leave' : null;
    }

    renew() {
      this.answer = Answer.open(this._report); // the promise of join()
    }

    leaves(message) {
      if (this.left) this.left.resolve(message);
      this.left = null;
    }

    /** Wait before it is asked for again, longer each time, unless it went well for a while. */
    failed(now, random, retryAfter = 0) {
      const lasted = this.since !== null && now - this.since >= LASTED;
      const wait = backoff(lasted ? 0 : this.failures, random);
      this.failures = lasted ? 1 : this.failures + 1;
      this.from = now + Math.min(Math.max(wait, retryAfter * 1000), RETRY_AFTER_CAP);
      this.since = null;
    }
  }

  /**
   * The rooms wanted over all connections. What is wanted and what the pod knows are brought
   * together by one request a room at a time, and a bounded number of them in all.
   */
  class Rooms {
    constructor(socket, { clock, random }, report) {
      const own = { _socket: socket, _clock: clock, _random: random, _report: report };
      hide(this, { ...own, _byName: new Map(), _pace: new Pace(), _timer: null });
    }

    values() {
      return this._byName.values();
    }

    /** Want a room; the promise is of the acknowledgement. */
    hold(name, holder, ended, data) {
      const room = this._byName.get(name) || new Room(name, this._report);
      this._byName.set(name, room);
      room.hold(holder, data);
      if (room.state !== 'leaving') room.leaves({ type: 'leave', room: name }); // it stays, then
      if (room.state === 'refused') room.state = 'out';
      if (room.joined) this._in(room, { type: 'join', room: name });
      room.from = 0;
      const { answer } = room; // a refusal puts another in its place
      if (ended) this._giveUp(room, ended);
      this.pump();
      return answer;
    }

    /** Want a room no more; the promise is of having left it. */
    release(name, holder) {
      const room = this._byName.get(name);
      const message = { type: 'leave', room: name };
      if (!room || !room.holders.delete(holder) || room.wanted) return Promise.resolve(message);
      room.answer.cancel(new DeploydError(`The room '${name}' was left.`, 'left'));
      room.renew();
      room.known = false;
      room.left = room.left || Answer.open(this._report);
      const { left } = room;
      if (room.state === 'out' || room.state === 'refused') this._forget(room);
      this.pump();
      return left;
    }

    /** How a room stands for one of its holders: 'joining', 'in' or 'out'. */
    standing(name, holder) {
      const room = this._byName.get(name);
      if (!room || !room.holders.has(holder) || room.state === 'refused') return 'out';
      return room.joined ? 'in' : 'joining';
    }

    /** Who is in a room that tells it. */
    people(name) {
      const room = this._byName.get(name);
      return room ? [...room.people.values()] : [];
    }

    /** Whether a room keeps our place while the connection is lost. */
    keepsPlace(name) {
      const room = this._byName.get(name);
      return Boolean(room && room.wanted && room.resume);
    }

    /**
     * The promise of being in, where it is worth waiting for: the first time, and while there is a
     * connection. Else null.
     */
    entering(name, holder) {
      if (this.standing(name, holder) !== 'joining') return null;
      const room = this._byName.get(name);
      return room.known && !this._socket.connected ? null : room.answer;
    }

    /** Tell those who have a room as an object what was said in it. */
    tell(message) {
      const room = this._byName.get(message.room);
      if (room && message.event === 'presence' && isPlain(message.data)) room.note(message.data);
      for (const holder of room ? [...room.holders.keys()] : []) {
        if (holder instanceof RoomHandle) holder._listeners.tell(message.event, message.data, message);
      }
    }

    /** Ask for all that is due, and come back when more will be. */
    pump() {
      this._clock.clearTimeout(this._timer);
      this._timer = null;
      if (!this._socket._ready) return;
      const now = this._clock.now();
      let next = Infinity;
      for (const room of [...this.values()]) {
        const from = Math.max(room.from, this._pace.from);
        if (room.due && from > now) next = Math.min(next, from);
        else if (room.due && this._pace.out + 1 <= this._pace.atOnce) this._ask(room);
      }
      if (next < Infinity) this._timer = this._clock.setTimeout(() => this.pump(), next - now);
    }

    /** Who was refused, or taken out, may come in now. */
    askAgain() {
      for (const room of this.values()) {
        if (room.state === 'refused') Object.assign(room, { state: 'out', from: 0 });
      }
      this.pump();
    }

    /** The pod has dropped something, and did not say what. */
    slowDown(retryAfter) {
      this._pace.tooFast(this._clock.now(), retryAfter);
    }

    /** The connection has ended: the pod knows of no room any more. */
    lost() {
      this._clock.clearTimeout(this._timer);
      this._pace = new Pace();
      for (const room of [...this.values()]) {
        if (room.joined) room.renew();
        room.leaves({ type: 'leave', room: room.name }); // who is gone has left
        Object.assign(room, { state: 'out', failures: 0, from: 0, since: null });
        if (!room.wanted) this._forget(room);
      }
    }

    /** The pod has ended a room. Listeners come back; the application decides, for it was told. */
    ended(name) {
      const room = this._gone(name);
      if (!room) return;
      room.state = 'out';
      room.failed(this._clock.now(), this._random);
      room.dismiss();
      if (!room.wanted) this._forget(room);
      this.pump();
    }

    /** The pod has taken us out of a room; says whether we were in it. */
    takenOut(name) {
      const room = this._gone(name);
      if (!room) return false;
      room.state = 'refused';
      if (!room.wanted) this._forget(room);
      return true;
    }

    /** The pod has taken us out for a reason that passes: a room was too busy to say who stays. */
    comeBack(name) {
      const room = this._byName.get(name);
      if (!room || room.state !== 'refused') return;
      room.state = 'out';
      room.failed(this._clock.now(), this._random);
      this.pump();
    }

    /** Nobody will be asked: fail all who wait. */
    refuseAll(error) {
      for (const room of [...this.values()]) this._giveUp(room, error);
    }

    /** Nobody will ever be asked. */
    close(error) {
      for (const room of this.values()) {
        room.answer.cancel(error);
        room.leaves({ type: 'leave', room: room.name });
      }
    }

    /** The pod has us in this room no longer; returns it if we did not know that. */
    _gone(name) {
      const room = this._byName.get(name);
      if (room && room.state === 'leaving') room.gone = true;
      if (!room || !room.joined) return null;
      room.renew();
      return room;
    }

    _ask(room) {
      const [pace, type] = [this._pace, room.due];
      const entering = type === 'join';
      Object.assign(room, { state: entering ? 'joining' : 'leaving', gone: false });
      pace.out += 1;
      const over = (act) => (outcome) => {
        if (pace !== this._pace) return; // `lost` has seen to it
        pace.answered();
        act.call(this, room, outcome);
        this.pump();
      };
      const [done, failed] = entering ? [this._in, this._notIn] : [this._out, this._notOut];
      const { data, resume } = entering ? room : {};
      this._socket._request({ type, room: room.name, data, resume }).then(over(done), over(failed));
    }

    _in(room, answer) {
      const since = room.since === null ? this._clock.now() : room.since;
      Object.assign(room, { state: 'in', known: room.wanted, since });
      const { resume, returned } = Object(answer.data);
      if (resume) room.resume = resume;
      this._socket._hope(room.name, returned === true);
      if (room.wanted) room.answer.resolve(answer);
    }

    _out(room, answer) {
      room.state = 'out';
      room.leaves(answer);
      if (!room.wanted) this._forget(room);
    }

    _notIn(room, error) {
      room.state = 'out';
      if (!room.wanted) this._forget(room);
      else if (this._isPassing(room, error, room.known)) this._tryAgain(room, error);
      else if (room.listened && this._isPassing(room, error, true)) this._stayFor(room, error);
      else this._giveUp(room, error);
    }

    /** Ask again for its listeners alone: the application hears of it, and may do so too. */
    _stayFor(room, error) {
      if (!room.known && room.dismiss()) {
        const { answer } = room;
        room.renew();
        answer.reject(error);
      }
      this._tryAgain(room, error);
    }

    /** A leave that is refused for haste, or dropped without an answer, was not heard. */
    _notOut(room, error) {
      const message = { type: 'leave', room: room.name };
      const unheard = this._isPassing(room, error, false);
      if (room.gone) return this._out(room, message);
      room.state = 'in';
      if (unheard) this._tryAgain(room, error);
      else if (room.left) room.left.reject(error);
      if (room.wanted) {
        room.leaves(message);
        this._in(room, { type: 'join', room: room.name });
      } else if (!unheard) {
        this._forget(room);
      }
    }

    /** Whether to ask again by ourselves, and for how long: what comes too fast is never lost. */
    _isPassing(room, { code }, forEver) {
      if (code === 'too_fast') return true;
      if (forEver) return PASSING.includes(code) || (code === 'room_closed' && room.listened);
      return code === 'timeout' && room.failures + 1 < TRIES;
    }

    _tryAgain(room, error) {
      const now = this._clock.now();
      if (error.code === 'too_fast') return this._pace.tooFast(now, error.retryAfter);
      room.failed(now, this._random, error.retryAfter);
      if (room.failures === TRIES) this._report(error); // and goes on
    }

    /** Fail who waits. A room that we have been in stays wanted, and is asked for by `askAgain`. */
    _giveUp(room, error) {
      this._socket._hope(room.name, false);
      const { answer } = room;
      room.renew();
      Object.assign(room, { state: 'refused', failures: 0 });
      if (!room.known) room.dismiss();
      if (!room.wanted) this._forget(room);
      answer.reject(error);
    }

    _forget(room) {
      this._socket._hope(room.name, false);
      this._byName.delete(room.name);
      room.leaves({ type: 'leave', room: room.name });
    }
  }

  /**
   * A room as an object, `dpd.room(name)`: it hears what is said in this room alone. Several of one
   * name are one member: the pod is asked once, and the room is left when the last one leaves it.
   * The first `on` or `emit` joins; after that, and after `leave`, it is for `join` to do.
   */
  class RoomHandle {
    constructor(name, params, client) {
      const { _report: report, socket } = client;
      const listeners = new Listeners(report);
      const own = { _report: report, _socket: socket, _listeners: listeners, _params: params };
      hide(this, { ...own, _begun: false });
      Object.defineProperty(this, 'name', { value: name, enumerable: true });
    }

    /** How it stands: 'joining' (also when the connection was lost), 'in' or 'out'. */
    get state() {
      return this._socket._rooms.standing(this.name, this);
    }

    /** Who is there, on all pods, where the room tells it (`presence`): the newest that was told. */
    get presence() {
      return this._socket._rooms.people(this.name);
    }

    /** Be in it from now on, over reconnections too; the promise is of the acknowledgement. */
    join() {
      this._begun = true;
      return this._socket._hold(this.name, this, this._params);
    }

    leave() {
      this._begun = true;
      return this._socket._release(this.name, this);
    }

    on(event, listener, once = false) {
      this._listeners.add(event, listener, once);
      this._begin();
      return this;
    }

    once(event, listener) {
      return this.on(event, listener, true);
    }

    off(event, listener) {
      this._listeners.remove(event, listener);
      return this;
    }

    /**
     * Say something; the promise is of the room's answer, or null. It waits until the room is
     * joined, but for no connection to come back: then nothing is said.
     */
    emit(event, data) {
      this._begin();
      const entering = this._socket._rooms.entering(this.name, this);
      const say = () => this._socket.emit(event, data, this.name);
      return Reply.to(entering ? entering.then(say) : say(), this._report);
    }

    _begin() {
      if (!this._begun) this.join();
    }
  }

  takeCallbacks(RoomHandle, 'join', 'leave', 'emit');

  // -- The socket --------------------------------------------------------------------------------

  /** One connection at a time, what was asked over it, and whether it is alive. */
  class Socket {
    constructor(client) {
      const { _report: report, _options: options } = client;
      hide(this, {
        _client: client,
        _report: report,
        _options: options,
        _rooms: new Rooms(this, options, report),
        _link: null, // the WebSocket in use, from its first attempt to its end
        _since: null, // when the pod greeted us
        _id: null,
        _limit: Infinity, // bytes that the pod takes at a time
        _identifying: 0, // what has to be over before rooms are asked for
        _patience: null, // the timer of a greeting
        _pulse: null, // the timer of the next look at whether the pod is there
        _heard: 0, // how many messages came, and when the last one did
        _heardAt: 0,
        _asking: false, // whether the pod is there
        _retry: null, // the timer of the next attempt
        _due: 0, // when an attempt may be made, and from when on connect() hurries it
        _hurry: 0,
        _attempt: 0,
        _ended: null, // why no further attempt is made
        _closed: false,
        _again: null, // the timer of another try to say who we are
        _renewal: null, // the promise of a token in place of one that has expired
        _unwatch: () => {}, // the page
        _unanswered: new Map(),
        _lastRequest: 0,
        _greeting: Answer.open(report),
      });
    }

    get connected() {
      return this._since !== null;
    }

    /** The id that the pod gave this connection, null while there is none. */
    get id() {
      return this._id;
    }

    get _ready() {
      return this.connected && this._identifying === 0;
    }

    /**
     * Connect, also after a final close; the promise is of the client's id. A wait that has begun
     * just now, or that the pod has asked for, goes on: that is how listeners call it.
     */
    connect() {
      const greeting = this._greeting;
      if (!this._closed) this._ended = null;
      if (this._retry !== null && this._options.clock.now() >= this._hurry) this._dial();
      else this._start();
      return greeting;
    }

    /**
     * Be in a room from now on, over reconnections too; the promise is of the acknowledgement. The
     * room is told `data` each time.
     */
    join(room, data) {
      return this._hold(room, 'application', data);
    }

    leave(room) {
      return this._release(room, 'application');
    }

    /** Say something in a room, or to everyone; the promise is of the receipt. Never kept back. */
    emit(event, data, room) {
      this._start();
      return this._request({ type: 'emit', event, data, room }, (answer) => answer.data);
    }

    _hold(name, holder, data) {
      this._start();
      return this._rooms.hold(name, holder, this._ended, data);
    }

    _release(name, holder) {
      return this._rooms.release(name, holder);
    }

    // Requests: what was sent with an id, until its answer.

    _request(message, pick = (answer) => answer) {
      const answer = Answer.open(this._report);
      const id = (this._lastRequest += 1);
      const problem = this._problem() || this._send({ ...message, id });
      if (problem) answer.reject(problem);
      else {
        const { type, room } = message;
        this._expect(id, { type, room, answer, pick, heard: this._heard, lost: null });
      }
      return answer;
    }

    _problem() {
      if (this._ended) return this._ended;
      if (!this.connected) {
        const remedy = "wait for 'connect' or for dpd.socket.connect()";
        return new DeploydError(`Not connected: ${remedy}.`, 'disconnected');
      }
      if (this._unanswered.size < MAX_UNANSWERED) return null;
      return new DeploydError('Too much is unanswered: wait for receipts.', 'busy');
    }

    /** Send a message, or say why it cannot be: one above the limit would cost the connection. */
    _send(message) {
      let text;
      try {
        text = writeJson(message);
      } catch (cause) {
        const sentence = `This cannot be sent as JSON: ${cause.message}.`;
        return new DeploydError(sentence, 'not_json', { cause });
      }
      if (isLonger(text, this._limit)) {
        const sentence = `The pod takes ${this._limit} bytes at a time and this is more: send less.`;
        return new DeploydError(sentence, 'too_large');
      }
      this._link.send(text);
      return null;
    }

    _expect(id, one, wait = this._options.timeout) {
      const { clock, timeout } = this._options;
      const due = clock.now() + wait;
      one.timer = clock.setTimeout(() => {
        const late = clock.now() - due > LATE && !one.late;
        // The page was frozen, or the process busy: what came meanwhile is read first.
        if (late) return this._expect(id, Object.assign(one, { late }), LATE);
        const error = new DeploydError(`No answer to '${one.type}' in ${timeout} ms.`, 'timeout');
        this._settle(id, () => one.answer.reject(error));
        this._doubt(one);
      }, wait);
      this._unanswered.set(id, one);
    }

    _settle(id, act) {
      const one = this._unanswered.get(id);
      if (!one) return false;
      this._unanswered.delete(id);
      this._options.clock.clearTimeout(one.timer);
      act(one);
      return true;
    }

    /** A room has let us in again, to our place or anew: then what we said before is lost. */
    _hope(room, returned) {
      for (const [id, one] of [...this._unanswered]) {
        if (!one.lost || one.room !== room) continue;
        if (returned) one.lost = null;
        else this._settle(id, ({ answer }) => answer.reject(one.lost));
      }
    }

    // Life: browsers do not show the pod's pings, and a dead connection looks like a silent one.

    /** Look at the connection when it may have been silent for too long. */
    _watch(wait) {
      const { clock, heartbeat } = this._options;
      if (!heartbeat) return;
      this._pulse = clock.setTimeout(() => {
        const silent = clock.now() - this._heardAt;
        if (silent >= heartbeat) this._ping();
        this._watch(silent >= heartbeat ? heartbeat : heartbeat - silent);
      }, wait);
    }

    /** Ask the pod whether it is there; any message is an answer, an error too. */
    _ping() {
      if (!this.connected || this._asking) return;
      this._asking = true;
      const over = () => (this._asking = false);
      this._request({ type: 'ping' }).then(over, over);
    }

    /** A request was not answered, and perhaps nothing else came since. */
    _doubt({ type, heard }) {
      if (heard !== this._heard) return;
      if (type !== 'ping') return this._ping();
      const reason = `no answer to a ping in ${this._options.timeout} ms`;
      this._lost(this._link, { code: 1006, reason });
    }

    // The connection.

    /** Connect when nothing else is under way, but not before it is due. */
    _start() {
      if (this._link || this._retry !== null || this._ended) return;
      const wait = this._due - this._options.clock.now();
      if (wait > 0) this._retry = this._options.clock.setTimeout(() => this._dial(), wait);
      else this._dial();
    }

    _stopWaiting() {
      this._options.clock.clearTimeout(this._retry);
      this._retry = null;
    }

    _dial() {
      const { clock, timeout } = this._options;
      this._stopWaiting();
      watchNode();
      let link;
      try {
        link = new (findWebSocket(this._options))(this._client._socketUrl);
      } catch (error) {
        this._reckon({ code: 4999 });
        return this._end(error);
      }
      this._link = link;
      this._unwatch();
      this._unwatch = watchPage(() => this._wake());
      const silent = { code: 1006, reason: `no greeting in ${timeout} ms` };
      this._patience = clock.setTimeout(() => this._lost(link, silent), timeout);
      link.onopen = () => opened(link);
      link.onmessage = ({ data }) => link === this._link && this._receive(parseJson(data));
      link.onclose = (event) => this._lost(link, event);
      link.onerror = ({ message = '' }) => {
        // Not every implementation closes a connection that it could not open.
        if (!this.connected) this._lost(link, { code: 1006, reason: message });
      };
    }

    /** The page is seen again, or the network is back: the connection may have died meanwhile. */
    _wake() {
      if (this._options.heartbeat && this._options.clock.now() - this._heardAt > LATE) this._ping();
    }

    _receive(message) {
      this._heard += 1;
      this._heardAt = this._options.clock.now();
      if (!isPlain(message)) return this._report(new DeploydError('The pod sent no JSON object.'));
      const { id, type, data } = message;
      const error = message.error && errorIn(message);
      const settled = this._settle(id, ({ answer, pick }) => {
        if (error) answer.reject(error);
        else answer.resolve(pick(message));
      });
      if (settled) return;
      if (error) this._told(error);
      else if (type === 'connect' && !this.connected) this._greeted(Object(data), message);
      else if (type === 'leave') this._takenOut(message);
      else if (type === 'emit' || type === 'collection:change') this._client._hear(message);
    }

    /** Take an error that answers nothing. */
    _told(error) {
      if (error.code === 'room_closed') this._rooms.ended(error.room);
      if (error.code === 'too_fast') this._rooms.slowDown(error.retryAfter);
      if (PASSING.includes(error.code)) this._rooms.comeBack(error.room);
      if (error.code === 'expired_token') this._identified(this._renew(error, this._client.token));
      else this._report(error);
    }

    /** Say who we are; rooms are asked for when the pod has said what it makes of that. */
    _greeted(data, message) {
      const { clock, heartbeat } = this._options;
      const { maxMessageBytes } = isPlain(data.limits) ? data.limits : {};
      clock.clearTimeout(this._patience);
      this._since = clock.now();
      this._id = data.client_id;
      this._limit = maxMessageBytes > 0 ? maxMessageBytes : Infinity;
      this._watch(heartbeat);
      if (this._client.token) this._authenticate();
      else this._rooms.askAgain();
      this._greeting.resolve(this._id);
      this._client._tell('connect', data, message);
    }

    /** The pod takes clients out of rooms that they may no longer be in. */
    _takenOut({ room, data }) {
      if (!this._rooms.takenOut(room)) return;
      const why = (isPlain(data) && data.reason) || 'you may no longer be in it';
      const sentence = `The pod took you out of the room '${room}': ${why}.`;
      this._report(new DeploydError(sentence, 'taken_out', { room }));
    }

    // Who we are.

    _authenticate() {
      const { token } = this._client;
      const shown = this._request({ type: 'auth', token });
      this._identified(shown.then(undefined, (error) => this._refused(error, token)));
    }

    /** Ask for rooms when this is over, and nothing like it has begun since. */
    async _identified(over) {
      const link = this._link;
      this._identifying += 1;
      await over;
      if (link !== this._link || !link) return; // `_drop` has seen to it
      this._identifying -= 1;
      if (this._identifying === 0) this._rooms.askAgain();
    }

    /** The token was not taken. */
    async _refused(error, token) {
      const link = this._link;
      if (error.code === 'disconnected' || token !== this._client.token) return;
      if (error.code === 'too_fast') {
        const wait = Math.min(Math.max((error.retryAfter || 0) * 1000, PAUSE), RETRY_AFTER_CAP);
        await new Promise((resolve) => {
          this._again = this._options.clock.setTimeout(resolve, wait);
        });
        if (link === this._link && this._client.token) this._authenticate();
      } else if (['expired_token', 'bad_token'].includes(error.code)) {
        await this._renew(error, token);
      } else {
        this._report(error);
      }
    }

    /** Get a token in place of one that has expired, from the application. */
    async _renew(error, token) {
      if (!this._renewal) this._renewal = this._askForToken(error).then((fresh) => {
        this._renewal = null;
        return readToken(fresh);
      });
      const fresh = await this._renewal;
      if (token !== this._client.token || this._closed) return; // it was given by itself meanwhile
      if (fresh && fresh !== token) this._client.setToken(fresh);
      else if (!this._client._tell('expired', { code: error.code, message: error.message })) {
        this._report(error);
      }
    }

    /** What `refresh` brings, or nothing when it fails or takes longer than any answer may. */
    _askForToken(error) {
      const { clock, timeout, refresh } = this._options;
      return new Promise((resolve) => {
        if (!refresh) return resolve();
        this._again = clock.setTimeout(resolve, timeout);
        const done = (token) => {
          clock.clearTimeout(this._again);
          resolve(token);
        };
        Promise.resolve(callSafely(refresh, [error], this._report)).then(done, () => done());
      });
    }

    /** The token is another one; a connection cannot be told to forget who it is. */
    _identify() {
      if (this.connected && this._client.token) return this._authenticate();
      if (this.connected) this._startAnew();
      else if (this._ended) this.connect();
    }

    _startAnew() {
      const closed = { code: 1000, reason: 'signed out', final: false };
      this._drop();
      this._dial();
      this._client._tell('disconnect', closed);
    }

    // The end.

    _lost(link, { code, reason }) {
      if (link !== this._link) return;
      const { clock, refresh } = this._options;
      const was = this.connected;
      const lasted = was ? clock.now() - this._since : 0;
      this._drop();
      const decided = this._reckon({ code, reason, lasted });
      const { wait, attempt } = decided;
      const final = decided.final && !(code === 4500 && refresh); // which can be mended
      if (final) this._end(finality(code, reason));
      else this._retry = clock.setTimeout(() => this._dial(), wait);
      if (was || final) this._client._tell('disconnect', { code, reason, final });
      if (final || this._retry === null) return; // or a listener has decided otherwise
      this._client._tell('reconnecting', { attempt, wait, code, reason });
    }

    /** Decide when an attempt may be made, whoever asks for it. */
    _reckon(closed) {
      const now = this._options.clock.now();
      const decided = afterClose(closed, this._attempt, this._options.random);
      this._attempt = decided.attempt;
      this._due = now + decided.wait;
      this._hurry = now + Math.max(decided.least, HURRY);
      return decided;
    }

    /** Forget the connection, and tell those who wait for its answers. */
    _drop() {
      const { clock } = this._options;
      const link = this._link;
      clock.clearTimeout(this._patience);
      clock.clearTimeout(this._pulse);
      if (this.connected) this._greeting = Answer.open(this._report);
      const nothing = { _link: null, _since: null, _id: null, _limit: Infinity };
      Object.assign(this, { ...nothing, _identifying: 0, _asking: false });
      this._rooms.lost();
      const sentence = 'The connection was lost before the answer: nobody knows if this arrived.';
      const lost = new DeploydError(sentence, 'disconnected');
      for (const [id, one] of [...this._unanswered]) {
        // What was said where our place is kept may be answered when we are back in it.
        if (one.type === 'emit' && this._rooms.keepsPlace(one.room)) one.lost = lost;
        else this._settle(id, ({ answer }) => answer.reject(lost));
      }
      hangUp(link, clock);
    }

    /** Try no more until the application changes something, and tell everybody who waits. */
    _end(error) {
      const greeting = this._greeting;
      this._ended = error;
      this._greeting = Answer.open(this._report);
      greeting.cancel(error);
      this._rooms.refuseAll(error);
      this._report(error);
    }

    _close() {
      const was = this.connected;
      const reason = 'closed by this client';
      const error = new DeploydError('This client is closed; make a new one.', 'closed');
      this._closed = true;
      this._unwatch();
      this._stopWaiting();
      this._options.clock.clearTimeout(this._again);
      if (this._link) this._drop();
      this._ended = error;
      this._rooms.close(error);
      this._greeting.cancel(error);
      if (was) this._client._tell('disconnect', { code: 1000, reason, final: true });
    }
  }

  takeCallbacks(Socket, 'connect', 'join', 'leave', 'emit');

  function finality(code, reason) {
    const why = `${reason || 'it did not say why'} (${code})`;
    const sentence = `The pod closed the connection for good: ${why}.`;
    return new DeploydError(sentence, 'refused', { closeCode: code });
  }

  function findWebSocket(options) {
    const known = options.WebSocket || globalThis.WebSocket;
    if (known) return known;
    try {
      return require('ws');
    } catch (_) {
      const remedies =
        'run Node 22 or newer (or node --experimental-websocket), pass one as ' +
        "new Deployd(url, { WebSocket }), or run 'npm install ws'";
      throw new DeploydError(`There is no WebSocket here: ${remedies}.`, 'no_websocket');
    }
  }

  /** Call when the page is seen again or the network is back; returns how to stop that. */
  function watchPage(act) {
    if (typeof addEventListener !== 'function') return () => {};
    const page = typeof document === 'object' ? document : null;
    const seen = () => page.visibilityState === 'visible' && act();
    addEventListener('online', act);
    if (page) page.addEventListener('visibilitychange', seen);
    return () => {
      removeEventListener('online', act);
      if (page) page.removeEventListener('visibilitychange', seen);
    };
  }

  /** Close a WebSocket. Outside browsers that waits for the other end, also for one that is dead. */
  function hangUp(link, clock) {
    link.close();
    const cut = cutterOf(link);
    if (!cut || link.readyState === 3) return;
    const timer = clock.setTimeout(cut, CLOSING);
    link.onclose = () => clock.clearTimeout(timer);
  }

  /** How to cut a connection off: `ws` has a word for it, and Node tells of its own's sockets. */
  function cutterOf(link) {
    if (typeof link.terminate === 'function') return () => link.terminate();
    const socket = nodeSockets.get(link);
    return socket && (() => socket.destroy());
  }

  const nodeSockets = new WeakMap(); // the TCP socket of a WebSocket of Node's own
  let lastOpened; // such a socket, until its WebSocket says that it is open, in the same turn

  function opened(link) {
    const own = typeof globalThis.WebSocket === 'function' && link instanceof globalThis.WebSocket;
    if (own && lastOpened) nodeSockets.set(link, lastOpened);
    lastOpened = undefined;
  }

  /** Learn of Node's sockets, once, by undici's channels for diagnostics: `open` comes at once. */
  function watchNode() {
    if (watchNode.done || typeof process !== 'object' || !process.getBuiltinModule) return;
    watchNode.done = true;
    const { subscribe } = process.getBuiltinModule('node:diagnostics_channel');
    const open = new Map();
    const nameOf = ({ address, port }) => `${address} ${port}`;
    subscribe('undici:client:connected', ({ socket }) => {
      const name = nameOf(socket.address());
      open.set(name, socket);
      socket.once('close', () => open.delete(name));
    });
    subscribe('undici:websocket:open', ({ address }) => {
      lastOpened = address && open.get(nameOf(address));
    });
  }

  // -- Deployd -----------------------------------------------------------------------------------

  /**
   * A client of one pod. Any name that it does not have itself is a collection: `dpd.todos`;
   * `dpd.collection(name)` always is.
   */
  class Deployd {
    constructor(url, options = {}) {
      const address = checkedUrl(url);
      const report = (error) => error === this._lastError || this._tell('error', error);
      hide(this, {
        _options: Object.freeze({ ...defaults(), ...options }),
        // Told a moment later: nobody can listen yet.
        _session: openSession(address, options, (error) => Promise.resolve(error).then(report)),
        _socketUrl: `${address.replace(/^http/i, 'ws')}/socket.io/`,
        _report: report,
        _listeners: new Listeners(report),
        _collections: new Map(),
        _lastError: null, // one error, however many promises it fails, is told once
      });
      const socket = new Socket(this);
      Object.defineProperties(this, {
        url: { value: address, enumerable: true },
        socket: { value: socket, enumerable: true },
      });
      return new Proxy(this, { get: (client, name) => client._member(name) });
    }

    collection(name) {
      if (!COLLECTION_NAME.test(name)) throw new TypeError(`'${name}' is no name of a collection.`);
      if (!this._collections.has(name)) {
        const type = name === 'users' ? Users : Collection;
        this._collections.set(name, new type(name, this));
      }
      return this._collections.get(name);
    }

    /** A room as an object; `params` is what it asks of those who join. */
    room(name, params) {
      if (typeof name !== 'string' || name === '') throw new TypeError("Give the room's name.");
      return new RoomHandle(name, params, this);
    }

    on(event, listener, once = false) {
      this._listeners.add(event, listener, once);
      if (event !== 'error') this.socket._start();
      return this;
    }

    once(event, listener) {
      return this.on(event, listener, true);
    }

    off(event, listener) {
      this._listeners.remove(event, listener);
      return this;
    }

    get token() {
      return this._session.token;
    }

    /** Be somebody else from now on, over REST and on the socket; without a token nobody. */
    setToken(token) {
      this._session.token = token;
      this.socket._identify();
    }

    /** Sign in with `{ username, password }` or `{ masterKey }`. */
    async login(credentials) {
      const answer = await this._request('POST', '/auth/login', credentials);
      this.setToken(answer.token);
      return answer;
    }

    async logout() {
      this.setToken(null);
    }

    /** Leave for good: no connection, no further attempt. REST goes on working. */
    close() {
      this.socket._close();
    }

    _member(name) {
      if (name in this || typeof name === 'symbol') return this[name];
      return COLLECTION_NAME.test(name) ? this.collection(name) : undefined;
    }

    _request(method, path, data) {
      return request(method, this.url + path, data, this.token, this._options);
    }

    /** Tell of an event of the client's own; an error is never told to nobody. */
    _tell(event, data, message) {
      if (event === 'error') this._lastError = data;
      const heard = this._listeners.tell(event, data, message);
      if (!heard && event === 'error') console.error(data);
      return heard;
    }

    /** Take an emit from the socket: a change of a collection, or an event of the application. */
    _hear(message) {
      const { event, data, room } = message;
      this.socket._rooms.tell(message);
      const [, name] = /^(?:collection:)?(.+)$/.exec(room || '') || [];
      if (name !== undefined && room === roomOf(name) && CHANGES.includes(event)) {
        if (this._collections.has(name)) this.collection(name)._tell(event, data, message);
      } else if (OWN_EVENTS.includes(event)) {
        const sentence = `'${event}' is an event of the client's own: give yours another name.`;
        this._report(new DeploydError(sentence, 'event_name'));
      } else {
        this._listeners.tell(event, data, message);
        if (event === 'system:degraded') this._tell('degraded', data, message);
        if (event === 'system:healed') this._tell('healed', data, message);
      }
    }
  }

  takeCallbacks(Deployd, 'login', 'logout');

  function defaults() {
    const clock = {
      now: () => Date.now(),
      clearTimeout: (timer) => clearTimeout(timer),
      setTimeout: (act, wait) => setTimeout(act, Math.min(wait, LONGEST_TIMER)),
    };
    const ask = (...values) => fetch(...values);
    return { clock, random: Math.random, timeout: TIMEOUT, heartbeat: HEARTBEAT, fetch: ask };
  }

  Object.assign(Deployd, { Deployd, DeploydError, default: Deployd, afterClose, encodeQuery });
  if (typeof module === 'object' && module.exports) module.exports = Deployd;
  else globalThis.Deployd = Deployd;
})();
