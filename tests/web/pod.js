'use strict';

/** The pod that test_client.py runs, and what it made for these tests. */

const Deployd = require('../../web/client/dpd.js');

const url = process.env.DEPLOYD_URL;
if (!url) throw new Error('These tests need a pod: run pytest tests/web.');

/** Clients of the pod that are closed at the end of a test; errors nobody awaits fail it. */
function clients(context) {
  const made = [];
  context.after(() => made.forEach((dpd) => dpd.close()));
  return (options) => {
    const dpd = new Deployd(url, options);
    made.push(dpd);
    return dpd;
  };
}

/** Ask the room of test_client.py to do something. */
const order = (dpd, event, data) => dpd.socket.emit(event, data, 'test-orders');

const next = (target, event) => new Promise((resolve) => target.once(event, (...values) => resolve(values)));

/** A WebSocket class over the real one that notes what went out and came in, in order. */
function recorder() {
  const trace = [];
  return class Recorder extends globalThis.WebSocket {
    static trace = trace;

    constructor(address) {
      super(address);
      this.addEventListener('message', ({ data }) => note('in', data));
    }

    send(text) {
      note('out', text);
      super.send(text);
    }
  };

  function note(way, text) {
    const { type, room, event } = JSON.parse(text);
    trace.push([way, type, room || event].join(' ').trim());
  }
}

module.exports = { clients, next, order, recorder, token: process.env.DEPLOYD_TOKEN, url };
