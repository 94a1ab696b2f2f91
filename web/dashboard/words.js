/* Figures as people read them. No page. */

export const none = '–';

export function count(n) {
  return typeof n === 'number' ? n.toLocaleString('en', { maximumFractionDigits: n < 10 ? 1 : 0 }) : none;
}

/** So many of them: `1 room`, `2 rooms`. */
export function several(n, one) {
  return `${count(n)} ${one}${n === 1 ? '' : 's'}`;
}

export function bytes(n) {
  if (typeof n !== 'number') return none;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const i = n < 1024 ? 0 : Math.min(4, Math.floor(Math.log2(n) / 10));
  return `${count(n / 1024 ** i)} ${units[i]}`;
}

export function time(s) {
  if (typeof s !== 'number') return none;
  if (s < 1) return `${(s * 1000).toPrecision(3) / 1} ms`;
  if (s < 120) return `${Math.floor(s)} s`;
  if (s < 7200) return `${Math.floor(s / 60)} min`;
  return s < 172_800 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86_400)} days`;
}

export function pairs(object) {
  const all = Object.entries(object || {}).filter(([, n]) => n);
  return all.length ? all.map(([name, n]) => `${name}: ${count(n)}`).join(', ') : none;
}

/** What is broken on purpose; null where nothing may be. */
export function chaos(faults) {
  if (!faults) return null;
  const said = faults.map(({ says, left, struck }) => `${says}, for ${time(Math.ceil(left))} more, struck ${count(struck)}×`);
  return `Chaos is on: ${said.join(' · ') || 'no fault is active now.'}`;
}

/** What something came to, in words: `lost 3, missed 1`. */
export function costs(cost) {
  return Object.entries(cost || {}).filter(([, n]) => n).map(([name, n]) => `${name} ${count(n)}`).join(', ');
}

/** The time of day of a unix time in seconds. */
export function clock(at) {
  return new Date(at * 1000).toLocaleTimeString([], { hour12: false });
}
