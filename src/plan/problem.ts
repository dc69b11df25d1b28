/** What a problem is about, for programs; people read the message. */
export type ProblemCode = 'not_yaml' | 'wrong_value' | 'missing_field' | 'unknown_field' | 'secret_in_plan' | 'too_large' | 'refused';

/** Something wrong with a document: where (`line` and `column` from 1; 0 when it came as an object), what was found and expected, and what to do. */
export interface Problem {
  readonly code: ProblemCode;
  /** Like `gates.latency.max` or `stages[0].set[1].to`; empty for the document itself. */
  readonly path: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
  /** What to do about it; may be empty where the message says it all. */
  readonly hint: string;
}

/** A path into a document: names and list positions. */
export type Path = readonly (string | number)[];

/** Where things stand in the text they were read from. */
export interface Places {
  /** The value at `path`, or the nearest thing around it that exists. */
  value(path: Path): { readonly line: number; readonly column: number };
  /** The name at the end of `path`, or the nearest thing around it. */
  name(path: Path): { readonly line: number; readonly column: number };
}

/** Notes one problem: where in the document, what is wrong there (it follows the path), and what to do. */
export type Complain = (path: Path, message: string, hint: string) => void;

/** A document that came as an object has no lines. */
export const NOWHERE: Places = { value: () => ({ line: 0, column: 0 }), name: () => ({ line: 0, column: 0 }) };

/** The path as people write it; names that are no plain words are quoted: `variables["A B"]`. */
export function spell(path: Path): string {
  return path.reduce<string>((said, part) => {
    if (typeof part === 'number') return `${said}[${part}]`;
    if (!/^[A-Za-z_][\w.-]*$/.test(part)) return `${said}[${show(part)}]`;
    return said === '' ? part : `${said}.${part}`;
  }, '');
}

/** The problem in one line: `plans/checkout.yaml:14:9  gates.latency.max is "fast"; expected a number of seconds, e.g. 1`, the hint after it in brackets. */
export function formatProblem(file: string, problem: Problem): string {
  const at = problem.line === 0 ? file : `${file}:${problem.line}:${problem.column}`;
  return `${at}  ${problem.message}${problem.hint === '' ? '' : ` (${problem.hint})`}`;
}

/** What was found, short enough for a message and never a secret. */
export function show(found: unknown): string {
  if (found === null) return 'empty';
  if (Array.isArray(found)) return found.length === 0 ? 'an empty list' : 'a list';
  if (typeof found === 'object') return Object.keys(found).length === 0 ? 'an empty map' : 'a map';
  if (typeof found !== 'string') return typeof found === 'number' || typeof found === 'boolean' ? String(found) : typeof found;
  if (secretKind(found) !== undefined) return 'a secret (not shown)';
  // Controls and lookalikes are escaped: a message may end up in a terminal or a log line.
  const cut = found.length > 60 ? `${found.slice(0, 60)}...` : found;
  return JSON.stringify(cut).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

const SECRETS: readonly (readonly [kind: string, shape: RegExp])[] = [
  ['a private key', /-----BEGIN [A-Z ]*PRIVATE KEY-----/],
  ['a LaunchDarkly key', /\b(?:api|sdk|mob)-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/i],
  ['an AWS key', /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/],
  ['a JSON web token', /\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/],
  ['a GitHub token', /\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,})/],
  ['a Slack token', /\bxox[abeoprs]-[A-Za-z0-9-]{10,}/],
  ['a Slack webhook', /hooks\.slack\.com\/services\/\w+/],
  ['a bearer token', /\bbearer\s+[\w.~+/=-]{16,}/i],
  ['a password in an address', /\b[a-z][a-z0-9+.-]{0,20}:\/\/[^\s/:@]{1,100}:[^\s/@]{1,200}@/i],
];

/** What kind of secret the text holds, if it looks like one. */
export function secretKind(text: string): string | undefined {
  return SECRETS.find(([, shape]) => shape.test(text))?.[0];
}
