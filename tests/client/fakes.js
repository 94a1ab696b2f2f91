'use strict';

/** Time that stands still until a test lets it pass, and sockets that a test plays the pod of. */

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
      Object.assign(this, { url, sent: [], closed: false });
      FakeWebSocket.opened.push(this);
    }

    send(text) {
      this.sent.push(JSON.parse(text));
    }

    close() {
      this.closed = true;
    }

    // What the pod does.

    greet(clientId = 'c1') {
      return this.say({ type: 'connect', data: { client_id: clientId } });
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

module.exports = { FakeClock, fakeWebSockets, settled };
