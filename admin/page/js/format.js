// Numbers as a person reads them: three or four digits and a unit.

const few = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });
const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const clockTime = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });

// scaled returns a number and the unit that it is in.
function scaled(v, steps) {
  for (const [size, unit] of steps) if (Math.abs(v) >= size * 0.9995) return [few.format(v / size), unit];
  return [few.format(v / steps.at(-1)[0]), steps.at(-1)[1]];
}

export const units = {
  // How many there are.
  count: (v) => (v < 99_995 ? [v < 100 && v % 1 ? few.format(v) : whole.format(v), ''] : scaled(v, [[1e9, 'G'], [1e6, 'M'], [1e3, 'k']])),
  // Bytes.
  bytes: (v) => scaled(v, [[1e12, 'TB'], [1e9, 'GB'], [1e6, 'MB'], [1e3, 'kB'], [1, 'B']]),
  // Bytes of memory, of which limits are set in powers of two.
  memory: (v) => scaled(v, [[2 ** 40, 'TiB'], [2 ** 30, 'GiB'], [2 ** 20, 'MiB'], [2 ** 10, 'KiB'], [1, 'B']]),
  // Seconds.
  time: (v) => (v === 0 ? ['0', ''] : scaled(v, [[1, 's'], [1e-3, 'ms'], [1e-6, 'µs']])),
};

// short is for axes and legends.
export function short(v, unit) {
  if (v === undefined || v === null) return '–';
  const [n, u] = units[unit](v);
  return u ? `${n} ${u}` : n;
}

// tick is for an axis, whose labels are of one kind: 50 k and 100 k.
export const tick = (v, unit) => (unit === 'count' && v >= 10_000 ? scaled(v, [[1e9, 'G'], [1e6, 'M'], [1e3, 'k']]).join(' ') : short(v, unit));

export const number = (v) => whole.format(v);
export const clock = (ms) => clockTime.format(ms);

// ago says how long ago it was, roughly.
export function ago(ms, now) {
  const s = Math.max(0, (now - ms) / 1000);
  if (s < 90) return `${Math.round(s)} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  if (s < 129_600) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86_400)} d`;
}

export const plural = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;
