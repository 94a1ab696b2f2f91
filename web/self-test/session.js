/* Who this tab is to the pod: its dpd, its sign-in, and what the pod says about both. */

import Deployd from '/dpd.mjs';
import { sentenceOf } from './dom.js';

/**
 * Tells 'change' when anything of it differs and 'failed' with a sentence. `state` is 'off',
 * 'connecting', 'on' or 'waiting'; `rooms` are the ones we are in.
 */
export class Session extends EventTarget {
  constructor(wire) {
    super();
    this._wire = wire;
    this.dpd = null;
    this.state = 'off';
    this.because = '';
    this.identity = null;
    this.token = null;
    this.rooms = new Set();
    wire.addEventListener('answered', ({ detail }) => this._answered(detail));
    wire.addEventListener('received', ({ detail }) => this._received(detail));
  }

  get clientId() {
    return this.dpd && this.dpd.socket.id;
  }

  connect() {
    if (this.dpd) return;
    this.dpd = new Deployd(location.origin, { WebSocket: this._wire.WebSocket, token: this.token });
    this._be('connecting');
    this.dpd.on('error', (error) => this._failed(error));
    this.dpd.on('connect', () => this._be('on'));
    this.dpd.on('disconnect', ({ final, reason }) => final && this.dpd && this._off(reason));
    this.dpd.on('reconnecting', ({ wait, reason }) => {
      const why = reason ? `${reason}; ` : '';
      this._be('waiting', `${why}the next attempt is in ${(wait / 1000).toFixed(1)} s`);
    });
  }

  disconnect() {
    const { dpd } = this;
    this._off('');
    if (dpd) dpd.close();
  }

  /** Be in a room; throws what the pod says against it. */
  async join(room) {
    await this._connected().socket.join(room);
  }

  async leave(room) {
    await this._connected().socket.leave(room);
  }

  /** Say something; the promise is of the receipt, or throws why there is none. */
  async emit(event, data, room) {
    return this._connected().socket.emit(event, data, room);
  }

  // Signing in ---------------------------------------------------------------------------------

  /** Sign in with a token. Whether the pod takes it is told once it has answered. */
  useToken(token) {
    this.token = token;
    if (this.dpd) this.dpd.setToken(token);
    else this.connect();
    this._change();
  }

  /** Exchange `{ masterKey }` or `{ username, password }` for a token; neither is kept. */
  async login(credentials) {
    this.connect();
    const answer = await this.dpd.login(credentials);
    this.token = answer.token;
    this._change();
  }

  signOut() {
    const had = this.token;
    Object.assign(this, { token: null, identity: null });
    if (had && this.dpd) this.dpd.setToken(null);
    this._change();
  }

  /** What proves over HTTP who we are. */
  headers() {
    return this.token ? { Authorization: `Bearer ${this.token}` } : {};
  }

  // What the pod says --------------------------------------------------------------------------

  _answered({ type, room, error, answer }) {
    if (type === 'join' && !error) this.rooms.add(room);
    else if (type === 'leave' && !error) this.rooms.delete(room);
    else if (type === 'auth' && error) this._refused(error);
    else if (type === 'auth') this.identity = answer.data;
    else return;
    this._change();
  }

  _received({ type, room, error, code }) {
    if (type === 'leave') this.rooms.delete(room); // the pod takes us out
    else if (code === 'expired_token') Object.assign(this, { identity: null, token: null });
    else return;
    this._change();
    if (error) this._say(error);
  }

  _refused(sentence) {
    if (this.token === null) return; // said already
    this.signOut();
    this._say(`${sentence} You are signed out.`);
  }

  _failed(error) {
    if (error.code === 'refused') this._off(error.message);
    if (!/token/.test(error.code || '')) this._say(sentenceOf(error)); // told above
  }

  _say(sentence) {
    this.dispatchEvent(new CustomEvent('failed', { detail: sentence }));
  }

  _connected() {
    if (this.state === 'on') return this.dpd;
    throw new Error('Not connected: press Connect first.');
  }

  _off(reason) {
    this.dpd = null;
    this._be('off', reason);
  }

  _be(state, because = '') {
    Object.assign(this, { state, because });
    if (state !== 'on') Object.assign(this, { identity: null });
    if (state !== 'on') this.rooms.clear();
    this._change();
  }

  _change() {
    this.dispatchEvent(new Event('change'));
  }
}
