/** Longest flag key and longest string value, characters; longer ones are refused, never cut. */
export const LONGEST_NAME = 200;

/** Letters, digits, `.`, `_` and `-`, a letter first: nothing that means something else in a path, a header or a shell. */
const KEY = /^[A-Za-z](?:[A-Za-z0-9_-]|\.(?!\.))*$/;
const CONTROL = /\p{Cc}|\p{Cf}|\p{Zl}|\p{Zp}/u;

/** What is wrong with a flag's key, in words that follow "the key"; undefined when nothing is. Never holds the key itself. */
export function keyProblem(key: string): string | undefined {
  if (key.length > LONGEST_NAME) return `has ${key.length} characters; at most ${LONGEST_NAME} are allowed`;
  if (!KEY.test(key)) return 'may hold only the letters a to z, digits, ".", "_" and "-", must begin with a letter, and may not hold ".."';
  return undefined;
}

/** What is wrong with a string value of a flag, in words that follow "the value"; undefined when nothing is. */
export function valueProblem(value: string): string | undefined {
  if (value === '') return 'is empty';
  if (value.length > LONGEST_NAME) return `has ${value.length} characters; at most ${LONGEST_NAME} are allowed`;
  if (CONTROL.test(value)) return 'holds a control character';
  return undefined;
}

/** What is wrong with a key at a provider of this instance name: Waffle flags begin with `flag_`. */
export function providerKeyProblem(provider: string, key: string): string | undefined {
  const waffle = /(^|-)waffle(-|$)/.test(provider);
  return waffle && !key.startsWith('flag_') ? 'must begin with flag_ at a Waffle provider' : keyProblem(key);
}
