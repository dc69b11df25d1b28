/** A number for people in three significant digits, by arithmetic: a judge says several of them in each of its millions of verdicts. */
export function brief(value: number): string {
  const size = Math.abs(value);
  if (size === 0 || !Number.isFinite(value)) return String(value);
  if (size >= 100) return String(Math.round(value));
  const scale = size >= 10 ? 10 : size >= 1 ? 100 : 10 ** (2 - Math.floor(Math.log10(size)));
  return String(Math.round(value * scale) / scale);
}
