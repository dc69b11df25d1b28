import { createHash, hash } from 'node:crypto';
import { evaluate, needsKey, type Answer, type Asker } from './evaluate.ts';
import type { FlagView } from './cache.ts';
import type { FlagLog } from './database.ts';
import type { Flag } from './flag.ts';
import { textProblem } from './rules.ts';

/** OFREP's error codes (protocol 0.2). */
export type OfrepErrorCode = 'PARSE_ERROR' | 'TARGETING_KEY_MISSING' | 'INVALID_CONTEXT' | 'FLAG_NOT_FOUND' | 'GENERAL';

/** What the server sends: JSON `body` (none with 304), `etag` of a bulk answer. */
export interface OfrepAnswer {
  readonly status: 200 | 304 | 400 | 404;
  readonly body?: Readonly<Record<string, unknown>>;
  readonly etag?: string;
}

/** Who asks, and who hears of it. */
export interface OfrepOptions {
  /** Only flags marked `exposed` are there: for callers without a token. */
  readonly publicOnly: boolean;
  /** Told of every evaluation; `sampled` makes one that logs some. */
  readonly onEvaluation?: (flag: Flag, asker: Asker, answer: Answer) => void;
}

const MOST_ATTRIBUTES = 200;

type Parsed = { readonly asker: Asker } | { readonly error: OfrepErrorCode; readonly details: string };

function attributeOf(value: unknown): string | readonly string[] | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) return value.flatMap((each: unknown) => attributeOf(each) ?? []).slice(0, MOST_ATTRIBUTES);
  return undefined;
}

/** The evaluation context of a request body. Numbers and booleans become text; objects and nulls match nothing and are left out. */
function parseContext(body: unknown): Parsed {
  if (body !== undefined && (typeof body !== 'object' || body === null || Array.isArray(body)))
    return { error: 'PARSE_ERROR', details: 'the body is not a JSON object; expected {"context":{"targetingKey":"..."}}' };
  const context: unknown = body === undefined ? undefined : Reflect.get(body, 'context');
  if (context === undefined || context === null) return { asker: { attributes: {} } };
  if (typeof context !== 'object' || Array.isArray(context))
    return { error: 'INVALID_CONTEXT', details: 'context is not an object; expected {"targetingKey":"...", ...}' };
  const entries = Object.entries(context as Record<string, unknown>);
  if (entries.length > MOST_ATTRIBUTES)
    return { error: 'INVALID_CONTEXT', details: `context has ${entries.length} attributes; expected at most ${MOST_ATTRIBUTES}` };
  const key = (context as Record<string, unknown>)['targetingKey'];
  if (key !== undefined && key !== null && typeof key !== 'string')
    return { error: 'INVALID_CONTEXT', details: `context.targetingKey is a ${typeof key}; expected text` };
  const attributes = Object.create(null) as Record<string, string | readonly string[]>;
  for (const [name, value] of entries) {
    const attribute = attributeOf(value);
    if (attribute === undefined || name === 'targetingKey') continue;
    for (const text of typeof attribute === 'string' ? [attribute] : attribute) {
      const problem = textProblem(text);
      if (problem !== undefined) return { error: 'INVALID_CONTEXT', details: `context.${name.slice(0, 60)} ${problem}` };
    }
    attributes[name] = attribute;
  }
  if (typeof key !== 'string' || key === '') return { asker: { attributes } };
  const problem = textProblem(key);
  return problem === undefined ? { asker: { key, attributes } } : { error: 'INVALID_CONTEXT', details: `context.targetingKey ${problem}` };
}

function result(view: FlagView, flag: Flag, asker: Asker, options: OfrepOptions): Readonly<Record<string, unknown>> {
  if (needsKey(flag, asker, view.segments)) {
    return {
      key: flag.key,
      errorCode: 'TARGETING_KEY_MISSING',
      errorDetails: `flag ${flag.key} is shared by the subject's own key; expected context.targetingKey`,
    };
  }
  const answer = evaluate(flag, asker, view.segments);
  options.onEvaluation?.(flag, asker, answer);
  return { key: flag.key, value: answer.value, reason: answer.reason, variant: answer.variant, metadata: { revision: flag.revision } };
}

function visible(flag: Flag | undefined, options: OfrepOptions): flag is Flag {
  return flag !== undefined && (!options.publicOnly || flag.exposed);
}

/** POST /ofrep/v1/evaluate/flags/{key}. A flag that public callers may not see is not there for them. */
export function evaluateOne(view: FlagView, key: string, body: unknown, options: OfrepOptions): OfrepAnswer {
  const parsed = parseContext(body);
  if ('error' in parsed) return { status: 400, body: { key, errorCode: parsed.error, errorDetails: parsed.details } };
  const flag = view.flags.get(key);
  if (!visible(flag, options)) return { status: 404, body: { key, errorCode: 'FLAG_NOT_FOUND', errorDetails: `flag ${key.slice(0, 60)} is not here` } };
  const answer = result(view, flag, parsed.asker, options);
  return { status: 'errorCode' in answer ? 400 : 200, body: answer };
}

/** POST /ofrep/v1/evaluate/flags. The ETag names the answer itself, so 304 means that nothing this subject gets has changed. */
export function evaluateAll(view: FlagView, body: unknown, ifNoneMatch: string | undefined, options: OfrepOptions): OfrepAnswer {
  const parsed = parseContext(body);
  if ('error' in parsed) return { status: 400, body: { errorCode: parsed.error, errorDetails: parsed.details } };
  const flags = [...view.flags.values()].filter((flag) => visible(flag, options)).sort((a, b) => (a.key < b.key ? -1 : 1));
  const answers = flags.map((flag) => result(view, flag, parsed.asker, options));
  const etag = `"${createHash('sha256').update(JSON.stringify(answers)).digest('base64url')}"`;
  const known = ifNoneMatch?.split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  if (known?.some((tag) => tag === etag || tag === '*') === true) return { status: 304, etag };
  return { status: 200, body: { flags: answers }, etag };
}

/** Logs about `rate` (0..1) of the evaluations, each with a digest of the subject's key in place of the key. */
export function sampled(rate: number, log: FlagLog, random: () => number = Math.random): NonNullable<OfrepOptions['onEvaluation']> {
  return (flag, asker, answer) => {
    if (random() >= rate) return;
    const subject = asker.key === undefined ? undefined : hash('sha256', asker.key).slice(0, 12);
    log.info({ flag: flag.key, subject, value: answer.value, reason: answer.reason, variant: answer.variant, revision: flag.revision, rate }, 'flag evaluated');
  };
}
