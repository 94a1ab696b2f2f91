/* How fast and how long a button may send. Pure: nothing here knows the time. */

export const PER_SECOND = 20;
export const SECONDS = 60;

const UNANSWERED = 2 * PER_SECOND; // more, and the pod is behind: we wait for it

/** One run: asked `PER_SECOND` times a second, it says what to do. */
export class Pace {
  constructor() {
    this.sent = 0;
    this._unanswered = 0;
  }

  /** Say 'send', 'wait' or 'over'; who is told to send counts as having sent. */
  next() {
    if (this.sent >= PER_SECOND * SECONDS) return 'over';
    if (this._unanswered >= UNANSWERED) return 'wait';
    this.sent += 1;
    this._unanswered += 1;
    return 'send';
  }

  answered() {
    this._unanswered -= 1;
  }
}
