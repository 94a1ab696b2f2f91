'use strict';

/** Time that stands still until a test lets it pass, and sockets that a test plays the pod of. */

const Deployd = require('../../web/client/dpd.js');

class FakeClock {
  constructor() {
    this.time = 0;
    this.timers = [];
    this.now = () => this.time;
    this.setTimeout = (act, wait) => {
      const timer = { act, due: this.time + wait };
      this.timers.push(timer);
      return timer;
    };
    this.clearTimeout = (timer) => {
      this.timers = this.timers.filter((other) => other !== timer);
    };
  }

  /** Let time pass, firing what falls due in its order; promises settle in between. */
  async pass(milliseconds) {
    const end = this.time + milliseconds;
    for (;;) {
      const [next] = this.timers.filter(({ due }) => due <= end).sort((a, b) => a.due - b.due);
      if (!next) break;
      this.clearTimeout(next);
      this.time = Math.max(this.time, next.due);
      next.act();
      await settled();
    }
    this.time = end;
  }
}

/** Return when every promise that can settle without time has done so. */
function settled() {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A WebSocket class that keeps its sockets in `opened`; a test answers for the pod. */
function fakeWebSockets() {
  return class FakeWebSocket {
    static opened = [];

    static get last() {
      return this.opened[this.opened.length - 1];
    }

    constructor(url) {
      Object.assign(this, { url, sent: [], pings: 0, closed: false, dead: false });
      FakeWebSocket.opened.push(this);
    }

    /** Take a message; a ping is answered, unless the connection is `dead`. */
    send(text) {
      const message = JSON.parse(text);
      if (message.type !== 'ping') return void this.sent.push(message);
      this.pings += 1;
      if (!this.dead) Promise.resolve().then(() => this.say({ type: 'pong', id: message.id }));
    }

    close() {
      this.closed = true;
    }

    // What the pod does.

    greet(clientId = 'c1', more = {}) {
      return this.say({ type: 'connect', data: { client_id: clientId, ...more } });
    }

    say(message) {
      this.onmessage({ data: JSON.stringify(message) });
      return settled();
    }

    /** Answer what was sent last with this type. */
    answer(type, message) {
      const request = this.sent.filter((one) => one.type === type).pop();
      return this.say({ ...message, id: request.id });
    }

    end(code, reason = '') {
      this.onclose({ code, reason });
      return settled();
    }
  };
}

/** A client on a clock and with sockets of its own; `told` is what it tells of itself. */
function stage(options) {
  const [clock, WebSocket, told] = [new FakeClock(), fakeWebSockets(), []];
  const dpd = new Deployd('http://pod:2403', { clock, WebSocket, random: () => 0.5, ...options });
  for (const event of ['disconnect', 'reconnecting', 'error']) {
    dpd._listeners.add(event, (data) => told.push([event, data])); // `on` would connect
  }
  return {
    clock,
    WebSocket,
    told,
    dpd,
    sent: () => WebSocket.last.sent.map(({ type, room, event }) => [type, room || event]),
    reported: () => told.filter(([event]) => event === 'error').map(([, { code }]) => code),
    connect: (more) => {
      dpd.socket.connect();
      return WebSocket.last.greet('c1', more);
    },
    /** Answer every join and leave that was not answered yet. */
    acknowledge: async () => {
      for (const one of WebSocket.last.sent) {
        if (one.answered || !['join', 'leave'].includes(one.type)) continue;
        one.answered = true;
        await WebSocket.last.say({ type: one.type, room: one.room, id: one.id });
      }
    },
    refuse: (type, code, more) =>
      WebSocket.last.answer(type, { type: 'error', error: 'No.', data: { code }, ...more }),
  };
}

module.exports = { FakeClock, fakeWebSockets, settled, stage };
