/* What the pod says of itself: pushed over its WebSocket, read over HTTP while that is silent. */

import Deployd from '/dpd.mjs';

const ROOM = '_dashboard';
const PATH = '/_dashboard/api/metrics/realtime';
const TIMEOUT = 5000; // ms
const POLL = 2000; // ms
const POLL_CAP = 30_000; // ms
const TRIES = 16; // for an answer of the pod that is shown, where a proxy spreads requests over several
export const FRESH = 3500; // ms that a snapshot counts as how the pod is

/** Tells 'snapshot', 'stress', 'tick' (each second) and 'login', when root must sign in. */
export class Feed extends EventTarget {
  constructor() {
    super();
    this.at = null; // when the last snapshot came
    this.pod = null; // whose figures are shown
    this.way = ''; // 'live' or 'polled'
    this.why = '';
    this.next = 0;
    this._wait = POLL;
    this._reading = false;
    this._out = false;
    this._dpd = new Deployd(location.origin, { storage: sessionStorage });
    setInterval(() => this._tick(), 1000);
    this._read();
  }

  get token() {
    return this._dpd.token;
  }

  get fresh() {
    return this.at !== null && Date.now() - this.at < FRESH;
  }

  async login(masterKey) {
    await this._dpd.login({ masterKey });
    this._out = false;
    await this._read();
  }

  signOut() {
    this._out = true;
    this.at = null;
    this._dpd.setToken(null);
    this._tell('login');
  }

  /**
   * Read over HTTP as who we are; throws why not. What is shown is of one pod: where a proxy has
   * asked another one, it is asked again.
   */
  async get(path) {
    for (let left = TRIES; ; left--) {
      const response = await this._fetch(path);
      const pod = response.headers.get('X-Pod');
      if (!this.pod || !pod || pod === this.pod) return response.json();
      if (left <= 1) {
        if (this.way !== 'live' || !this.fresh) this.pod = null; // it has gone: take the next one
        throw new Error('another pod answers');
      }
    }
  }

  async _fetch(path) {
    const headers = this.token ? { Authorization: `Bearer ${this.token}` } : {};
    const response = await fetch(path, { headers, signal: AbortSignal.timeout(TIMEOUT) });
    if (response.status === 401 || response.status === 403) {
      this.signOut();
      throw new Error('root must sign in');
    }
    if (!response.ok) throw new Error(`the pod answers HTTP ${response.status}`);
    return response;
  }

  _tick() {
    const now = Date.now();
    const due = this.way !== 'live' || !this.fresh;
    if (!this._out && due && now >= this.next) this._read();
    this._tell('tick');
  }

  async _read() {
    if (this._reading) return;
    this._reading = true;
    try {
      const snapshot = await this.get(PATH);
      if (this._out) return;
      this._wait = POLL;
      if (!(this.way === 'live' && this.fresh)) this._take(snapshot, 'polled');
      this._listen();
    } catch (error) {
      this.why = error.name === 'TypeError' ? 'the pod does not answer' : error.message;
      this._wait = Math.min(POLL_CAP, this._wait * 2);
    } finally {
      this.next = Date.now() + this._wait;
      this._reading = false;
    }
  }

  /** Begin to listen once the pod takes us for root, and again when it took us out of the room. */
  _listen() {
    if (!this._heard) {
      this._heard = true;
      this._dpd.on('error', (error) => (this.why = error.message));
      this._dpd.on('disconnect', ({ reason }) => (this.why = reason || 'the connection was lost'));
      // Of that room alone: anybody may say 'snapshot' to everyone.
      this._dpd.on('snapshot', (data, m) => m.room === ROOM && !this._out && this._take(data, 'live'));
      this._dpd.on('stress', (data, m) => m.room === ROOM && this._tell('stress', data));
    }
    this._dpd.socket.join(ROOM).catch((error) => (this.why = error.message));
  }

  _take(snapshot, way) {
    Object.assign(this, { at: Date.now(), way, why: '', pod: snapshot.pod });
    this._tell('snapshot', snapshot);
  }

  _tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
