/* Figures as people read them, and what is wrong in a snapshot. No page, no clock. */

export const none = '–';

export function count(n) {
  return typeof n === 'number' ? n.toLocaleString('en', { maximumFractionDigits: n < 10 ? 1 : 0 }) : none;
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

export function alarms({ ready, not_ready_because: because, links, connections, process }) {
  const found = [];
  for (const link of links || []) {
    const { missing_pods: missing = 0, name_taken_by: other, name } = link;
    if (missing) found.push(`Not heard: ${missing} of the other pods, dead or cut off.`);
    if (other) found.push(`Pod ${other} has the name of this one, which is called ${name}: give each its own.`);
    if (!link.state || link.state === 'closed') continue;
    const why = link.reason ? ` ${link.reason}` : '';
    found.push(`Degraded: the breaker of ${link.type} is ${link.state}. This pod is alone.${why}`);
  }
  if (ready === false) found.push(`Not ready: ${because || 'it does not say why'}`);
  const { open = 0, max = 0 } = connections || {};
  if (max && open >= 0.9 * max) found.push(`Nearly full: ${open} of ${max} connections.`);
  const { open_files: files, max_files: most } = process || {};
  if (most && files >= 0.9 * most) found.push(`Files run out: ${files} of ${most} are open.`);
  return found;
}
