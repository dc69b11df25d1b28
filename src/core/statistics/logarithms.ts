/** ln(exp(a) + exp(b)) without leaving the range of a number; -Infinity stands for nothing. */
export function logAdd(a: number, b: number): number {
  if (a === -Infinity) return b;
  if (b === -Infinity) return a;
  return a > b ? a + Math.log1p(Math.exp(b - a)) : b + Math.log1p(Math.exp(a - b));
}

/** ln of the sum of exp of all of them; -Infinity for none. */
export function logSum(logs: readonly number[]): number {
  let most = -Infinity;
  for (const one of logs) if (one > most) most = one;
  if (most === -Infinity) return -Infinity;
  let sum = 0;
  for (const one of logs) sum += Math.exp(one - most);
  return most + Math.log(sum);
}

/** x ln(p), where nothing of an impossible thing costs nothing. */
export function times(x: number, p: number): number {
  return x === 0 ? 0 : x * Math.log(p);
}

/** ln Gamma(x) for x > 0, to 15 digits: Stirling's series (Abramowitz and Stegun 6.1.41) from 10 on, the recurrence below. */
export function logGamma(x: number): number {
  let [shifted, less] = [x, 0];
  while (shifted < 10) {
    less += Math.log(shifted);
    shifted += 1;
  }
  const square = 1 / (shifted * shifted);
  const series = (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square * (1 / 1680 - square * (1 / 1188 - (square * 691) / 360_360))))) / shifted;
  return (shifted - 0.5) * Math.log(shifted) - shifted + 0.5 * Math.log(2 * Math.PI) + series - less;
}
