/*
 * dpd.js: the client of a deployd pod, for browsers and Node. One file, nothing to build.
 *
 *   const dpd = new Deployd('http://localhost:2403');
 *   dpd.todos.on('created', (todo) => console.log(todo.title));
 *   await dpd.todos.post({ title: 'Water the plants' });
 *
 * Read it from top to bottom: decisions (pure), listeners and promises, REST, the socket, Deployd.
 * Times are in milliseconds, but for `retryAfter`, which is in seconds as HTTP has it.
 */
(function () {
  'use strict';

  const CHANGES = Object.freeze(['created', 'updated', 'deleted']);
  const OWN_EVENTS = Object.freeze([
    'connect', 'disconnect', 'reconnecting', 'degraded', 'healed', 'error',
  ]);
  const COLLECTION_NAME = /^[A-Za-z][\w-]*$/;
  const TIMEOUT = 10_000; // for an answer, a greeting, a receipt
  const BACKOFF_BASE = 500;
  const BACKOFF_CAP = 20_000;
  const LASTED = 5_000; // a connection that lived so long was a good one
  const RETRY_AFTER_CAP = 300_000; // whatever a server asks for, a client comes back some time
  const JOIN_TRIES = 3; // a pod drops what comes too fast, and does not say which message that was
  const MAX_UNANSWERED = 10_000;

  // -- Decisions: no clock, no socket ----------------------------------------------------------

  /**
   * Decide what follows the end of a connection; `attempt` counts the failures before it. The wait
   * is random below a bound that doubles (full jitter), on top of what a close reason
   * `retry_after=<seconds>` asks for. Codes 4500 to 4999 mean "not like this".
   */
  function afterClose({ code, reason = '', lasted = 0 }, attempt, random = Math.random) {
    if (code >= 4500 && code <= 4999) return { final: true, wait: 0, attempt: 0 };
    const failures = lasted >= LASTED ? 0 : attempt;
    const asked = /\bretry_after=(\d+(?:\.\d+)?)/.exec(reason);
    const least = asked ? Math.min(Number(asked[1]) * 1000, RETRY_AFTER_CAP) : 0;
    const jitter = random() * Math.min(BACKOFF_CAP, BACKOFF_BASE * 2 ** failures);
    return { final: false, wait: least + jitter, attempt: failures + 1 };
  }

  /** Write a query as URL parameters: nested objects dotted, everything else as JSON. */
  function encodeQuery(query) {
    const parameters = new URLSearchParams();
    const put = (path, value) => {
      const keys = isPlain(value) ? Object.keys(value) : [];
      for (const key of keys) put(`${path}.${key}`, value[key]);
      if (keys.length === 0 && value !== undefined) parameters.append(path, JSON.stringify(value));
    };
    for (const key of Object.keys(query)) put(key, query[key]);
    return parameters.toString();
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
    if (typeof text === 'string' && text !== '' && !/^\.\.?$/.test(text)) return text;
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

    /** Forget a listener; without one all of the event, without an event all there are. */
    remove(event, listener) {
      if (event === undefined) this._byEvent.clear();
      else this._keep(event, (entry) => listener !== undefined && entry.listener !== listener);
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
    } catch (error) {
      report(error);
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
      const answer = new Answer((resolve, reject) => (ends = { resolve, reject }));
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

  /** Set properties that do not show when the object is printed, as the token must not. */
  function hide(object, properties) {
    for (const name of Object.keys(properties)) {
      Object.defineProperty(object, name, { value: properties[name], writable: true });
    }
  }

  // -- REST --------------------------------------------------------------------------------------

  /** The token: in memory, and in a storage only when the application gave one. */
  function openSession(url, { token, storage }) {
    const key = `deployd:${url}`;
    let current = token || (storage && storage.getItem(key)) || null;
    return {
      get token() {
        return current;
      },
      set token(other) {
        current = other || null;
        if (storage && current) storage.setItem(key, current);
        else if (storage) storage.removeItem(key);
      },
    };
  }

  /** Send a request and return the answer's JSON; throws `DeploydError` unless it went well. */
  async function request(method, address, data, token, { fetch, clock, timeout }) {
    const headers = { Accept: 'application/json' };
    if (data !== undefined) headers['Content-Type'] = 'application/json';
    if (token) headers.Authorization = `Bearer ${token}`;
    const body = data === undefined ? undefined : JSON.stringify(data);
    const aborter = new AbortController();
    const timer = clock.setTimeout(() => aborter.abort(), timeout);
    try {
      const response = await fetch(address, { method, headers, body, signal: aborter.signal });
      return readAnswer(response, await response.text(), `${method} ${address}`, clock.now());
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
    if (ok && value !== undefined) return value;
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

    /** `get()`, `get(id)` or `get(query)`. */
    async get(what) {
      if (what === undefined || isPlain(what)) return this._ask('GET', '', what);
      return this._ask('GET', checkedId(what));
    }

    async count(query) {
      return (await this._ask('GET', 'count', query)).count;
    }

    async post(data) {
      return this._ask('POST', '', undefined, data);
    }

    /** `put(id, changes)`, or `put(document)` with its `id` in it. */
    async put(first, changes) {
      const [id, data] = isPlain(first) ? [first.id, first] : [first, changes];
      return this._ask('PUT', checkedId(id), undefined, data);
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

    _ask(method, id, query = {}, data) {
      const path = `/${encodeURIComponent(this.name)}${id && `/${encodeURIComponent(id)}`}`;
      const parameters = encodeQuery(query);
      return this._client._request(method, path + (parameters && `?${parameters}`), data);
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

  // -- The socket --------------------------------------------------------------------------------

  /** One connection at a time, the rooms wanted over all of them, and the requests unanswered. */
  class Socket {
    constructor(client) {
      hide(this, {
        _client: client,
        _report: client._report,
        _options: client._options,
        _link: null, // the WebSocket in use, from its first attempt to its end
        _since: null, // when the pod greeted us
        _id: null,
        _patience: null, // the timer of a greeting
        _retry: null, // the timer of the next attempt
        _attempt: 0,
        _ended: null, // why no further attempt is made
        _closed: false,
        _rooms: new Map(),
        _unanswered: new Map(),
        _lastRequest: 0,
        _greeting: Answer.open(client._report),
      });
    }

    get connected() {
      return this._since !== null;
    }

    /** The id that the pod gave this connection, null while there is none. */
    get id() {
      return this._id;
    }

    /** Connect now, also after a final close; the promise is of the client's id. */
    connect() {
      if (this._retry !== null) this._stopWaiting();
      if (!this._closed) this._ended = null;
      this._start();
      return this._greeting;
    }

    /** Be in a room from now on, over reconnections too; the promise is of the acknowledgement. */
    join(room) {
      return this._hold(room, 'application');
    }

    leave(room) {
      return this._release(room, 'application');
    }

    /** Say something in a room, or to everyone; the promise is of the receipt. Never kept back. */
    emit(event, data, room) {
      this._start();
      return this._request({ type: 'emit', event, data, room }, (answer) => answer.data);
    }

    // Rooms: each with those who want it, `application` or a collection with listeners.

    _hold(name, holder) {
      this._start();
      const room = this._rooms.get(name) || this._newRoom(name);
      room.holders.add(holder);
      const { answer } = room; // a refusal puts another in its place
      if (this._ended) this._refused(room, this._ended);
      else if (this.connected) this._ask(room);
      return answer;
    }

    _newRoom(name) {
      // `asked`: no answer yet; `known`: we have been in it, however long ago.
      const state = { asked: false, joined: false, known: false, tries: 0 };
      const room = { name, holders: new Set(), answer: Answer.open(this._report), ...state };
      this._rooms.set(name, room);
      return room;
    }

    _release(name, holder) {
      const room = this._rooms.get(name);
      if (room && room.holders.delete(holder) && room.holders.size === 0) {
        this._rooms.delete(name);
        if (this.connected) return this._request({ type: 'leave', room: name });
        room.answer.cancel(new DeploydError(`The room '${name}' was left.`, 'left'));
      }
      return Promise.resolve({ type: 'leave', room: name });
    }

    _ask(room) {
      if (room.asked || room.joined) return;
      room.asked = true;
      this._request({ type: 'join', room: room.name }).then(
        (answer) => {
          Object.assign(room, { asked: false, joined: true, known: true, tries: 0 });
          room.answer.resolve(answer);
        },
        (error) => this._refused(room, error),
      );
    }

    /** Give a room up, but one that we have been in: that is asked again when things change. */
    _refused(room, error) {
      room.asked = false;
      if (error.code === 'disconnected') return;
      const wanted = this._rooms.get(room.name) === room;
      room.tries += 1;
      const again = error.code === 'timeout' && room.tries < JOIN_TRIES;
      if (wanted && again) return void this._ask(room);
      if (!room.known) room.holders.delete('application'); // which hears of it now
      if (wanted && room.holders.size === 0) this._rooms.delete(room.name);
      room.answer.reject(error);
      Object.assign(room, { joined: false, answer: Answer.open(this._report), tries: 0 });
    }

    // Requests: what was sent with an id, until its answer.

    _request(message, pick = (answer) => answer) {
      const { clock, timeout } = this._options;
      const answer = Answer.open(this._report);
      const problem = this._problem();
      if (problem) {
        answer.reject(problem);
        return answer;
      }
      const id = (this._lastRequest += 1);
      this._link.send(JSON.stringify({ ...message, id }));
      const late = new DeploydError(`No answer to '${message.type}' in ${timeout} ms.`, 'timeout');
      const timer = clock.setTimeout(() => this._settle(id, () => answer.reject(late)), timeout);
      this._unanswered.set(id, { type: message.type, answer, pick, timer });
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

    _settle(id, act) {
      const one = this._unanswered.get(id);
      if (!one) return false;
      this._unanswered.delete(id);
      this._options.clock.clearTimeout(one.timer);
      act(one);
      return true;
    }

    // The connection.

    _start() {
      if (!this._link && this._retry === null && !this._ended) this._dial();
    }

    _stopWaiting() {
      this._options.clock.clearTimeout(this._retry);
      this._retry = null;
    }

    _dial() {
      const { clock, timeout } = this._options;
      this._retry = null;
      let link;
      try {
        link = new (findWebSocket(this._options))(this._client._socketUrl);
      } catch (error) {
        return this._end(error);
      }
      this._link = link;
      const silent = { code: 1006, reason: `no greeting in ${timeout} ms` };
      this._patience = clock.setTimeout(() => this._lost(link, silent), timeout);
      link.onmessage = ({ data }) => link === this._link && this._receive(parseJson(data));
      link.onclose = (event) => this._lost(link, event);
      link.onerror = ({ message = '' }) => {
        // Not every implementation closes a connection that it could not open.
        if (!this.connected) this._lost(link, { code: 1006, reason: message });
      };
    }

    _receive(message) {
      if (!isPlain(message)) return this._report(new DeploydError('The pod sent no JSON object.'));
      const { id, type, data, error: sentence } = message;
      const error = sentence && new DeploydError(String(sentence), data ? data.code : undefined);
      const settled = this._settle(id, ({ answer, pick }) => {
        if (error) answer.reject(error);
        else answer.resolve(pick(message));
      });
      if (settled) return;
      if (error) this._report(error);
      else if (type === 'connect') this._greeted(data || {}, message);
      else if (type === 'leave') this._takenOut(message.room);
      else if (type === 'emit' || type === 'collection:change') this._client._hear(message);
    }

    /** Say who we are, then ask for all rooms, waiting for nothing in between. */
    _greeted(data, message) {
      this._options.clock.clearTimeout(this._patience);
      this._since = this._options.clock.now();
      this._id = data.client_id;
      this._authenticate();
      for (const room of this._rooms.values()) this._ask(room);
      this._greeting.resolve(this._id);
      this._client._tell('connect', data, message);
    }

    _authenticate() {
      const { token } = this._client;
      if (!token) return;
      this._request({ type: 'auth', token }).then(
        () => this._rooms.forEach((room) => this._ask(room)), // who was refused may come in now
        (error) => error.code === 'disconnected' || this._report(error),
      );
    }

    /** The pod takes clients out of rooms that they may no longer be in. */
    _takenOut(name) {
      const room = this._rooms.get(name);
      if (!room || !room.joined) return;
      Object.assign(room, { joined: false, answer: Answer.open(this._report) });
      const sentence = `The pod took you out of the room '${name}': you may no longer be in it.`;
      this._report(new DeploydError(sentence, 'taken_out'));
    }

    /** The token is another one; a connection cannot be told to forget who it is. */
    _identify() {
      if (this.connected && this._client.token) return this._authenticate();
      if (this.connected) this._lost(this._link, { code: 1000, reason: 'signed out' });
      else if (!this._ended) return undefined;
      return void this.connect();
    }

    _lost(link, { code, reason }) {
      if (link !== this._link) return;
      const { clock, random } = this._options;
      const was = this.connected;
      const lasted = was ? clock.now() - this._since : 0;
      this._drop();
      const { final, wait, attempt } = afterClose({ code, reason, lasted }, this._attempt, random);
      this._attempt = attempt;
      if (final) {
        const why = `${reason || 'it did not say why'} (${code})`;
        const sentence = `The pod closed the connection for good: ${why}.`;
        this._end(new DeploydError(sentence, 'refused', { closeCode: code }));
      } else {
        this._retry = clock.setTimeout(() => this._dial(), wait);
      }
      if (was || final) this._client._tell('disconnect', { code, reason, final });
      if (this._retry !== null) this._client._tell('reconnecting', { attempt, wait, code, reason });
    }

    /** Forget the connection, and tell those who wait for its answers. */
    _drop() {
      const link = this._link;
      this._options.clock.clearTimeout(this._patience);
      if (this.connected) this._greeting = Answer.open(this._report);
      this._link = this._since = this._id = null;
      for (const room of this._rooms.values()) {
        if (room.joined) Object.assign(room, { joined: false, answer: Answer.open(this._report) });
      }
      const sentence = 'The connection was lost before the answer: nobody knows if this arrived.';
      const lost = new DeploydError(sentence, 'disconnected');
      for (const id of [...this._unanswered.keys()]) {
        this._settle(id, ({ type, answer }) => {
          if (type === 'leave') answer.resolve({ type }); // who is gone has left
          else answer.reject(lost);
        });
      }
      link.close();
    }

    /** Try no more until the application changes something, and tell everybody who waits. */
    _end(error) {
      this._ended = error;
      this._report(error);
      for (const room of [...this._rooms.values()]) this._refused(room, error);
      this._greeting.cancel(error);
      this._greeting = Answer.open(this._report);
    }

    _close() {
      const was = this.connected;
      const reason = 'closed by this client';
      const error = new DeploydError('This client is closed; make a new one.', 'closed');
      this._closed = true;
      if (this._retry !== null) this._stopWaiting();
      if (this._link) this._drop();
      this._ended = error;
      for (const room of this._rooms.values()) room.answer.cancel(error);
      this._greeting.cancel(error);
      if (was) this._client._tell('disconnect', { code: 1000, reason, final: true });
    }
  }

  takeCallbacks(Socket, 'connect', 'join', 'leave', 'emit');

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
        _session: openSession(address, options),
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
      if (!this._listeners.tell(event, data, message) && event === 'error') console.error(data);
    }

    /** Take an emit from the socket: a change of a collection, or an event of the application. */
    _hear(message) {
      const { event, data, room } = message;
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
      setTimeout: (act, wait) => setTimeout(act, wait),
    };
    return { clock, random: Math.random, timeout: TIMEOUT, fetch: (...values) => fetch(...values) };
  }

  Object.assign(Deployd, { Deployd, DeploydError, default: Deployd, afterClose, encodeQuery });
  if (typeof module === 'object' && module.exports) module.exports = Deployd;
  else globalThis.Deployd = Deployd;
})();
