/* Counts of the last minute by the second. Pure: the time comes in with each call, in ms. */

export const SECONDS = 60;

const SAMPLES = 500; // latencies kept of one second

export class Meter {
  constructor() {
    this._buckets = new Map(); // second to what happened in it, oldest first
  }

  count(now) {
    this._bucket(now).messages += 1;
  }

  /** Note how long a receipt took. */
  time(ms, now) {
    const { latencies } = this._bucket(now);
    if (latencies.length < SAMPLES) latencies.push(ms);
  }

  /**
   * The minute before the second that still runs, oldest first: `messages` and `p99` (ms, null
   * where no receipt came) by the second, and the `p99` of all.
   */
  lastMinute(now) {
    const end = Math.floor(now / 1000);
    const seconds = Array.from({ length: SECONDS }, (_, i) => this._buckets.get(end - SECONDS + i));
    return {
      messages: seconds.map((bucket) => (bucket ? bucket.messages : 0)),
      p99s: seconds.map((bucket) => (bucket ? p99(bucket.latencies) : null)),
      p99: p99(seconds.flatMap((bucket) => (bucket ? bucket.latencies : []))),
    };
  }

  _bucket(now) {
    const second = Math.floor(now / 1000);
    let bucket = this._buckets.get(second);
    if (!bucket) {
      bucket = { messages: 0, latencies: [] };
      this._buckets.set(second, bucket);
      for (const old of this._buckets.keys()) if (old < second - SECONDS) this._buckets.delete(old);
    }
    return bucket;
  }
}

/** The value that 99 in 100 do not exceed (nearest rank), null of none. */
export function p99(values) {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.ceil(sorted.length * 0.99) - 1];
}
