import { z } from 'zod';
import { Terminal } from '../core/failure.ts';
import type { Failed, Measurement, Series } from '../core/measurement.ts';

/** What went wrong while asking, in the words of a measurement. */
export type Failing = Pick<Failed, 'reason' | 'detail'>;

/** Every status is an answer to a source: it says itself what each means. */
export const EVERY_STATUS: readonly number[] = Array.from({ length: 500 }, (_, index) => index + 100);

const DURATION = /^(\d+(?:\.\d+)?)(ms|s)$/;

/** How long one question may take: `750ms`, `5s` or a number of milliseconds, at most 10 s; read as milliseconds. */
export const timeoutSchema = z
  .union([z.number(), z.string().regex(DURATION, 'expected a time such as 750ms or 5s')])
  .transform((given) => {
    if (typeof given === 'number') return given;
    const [, amount = '', unit = ''] = DURATION.exec(given) ?? [];
    return Number(amount) * (unit === 's' ? 1000 : 1);
  })
  .pipe(z.number().min(100, 'expected at least 100ms').max(10_000, 'expected at most 10s: a gate that hangs is blind'))
  .describe('Longest time that one question may take, at most 10s');

/** An address that a source is asked at: http or https, without a user or password in it. */
export const urlSchema = z
  .url({ protocol: /^https?$/, error: 'expected an http or https URL' })
  .refine((url) => new URL(url).username === '' && new URL(url).password === '', 'expected no user or password in the URL: use token or headers')
  .describe('Base URL');

const WHY: readonly (readonly [RegExp, Failed['reason']])[] = [
  [/no whole answer within|timeout|its time was up/i, 'timeout'],
  [/stopped before it answered/, 'other'],
  [/maxContentLength|larger than allowed/, 'too-large'],
  [/ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|EPIPE|ECONNRESET|socket hang up/, 'refused'],
  [/aborted|premature|Parse Error|unexpected end|incorrect header check|invalid .* data/i, 'malformed'],
];

/** Why asking failed: no connection, no whole answer in time, an answer cut off, or too large. The detail holds no secret where the error holds none. */
export function failing(error: unknown): Failing {
  const detail = error instanceof Error ? error.message : String(error);
  if (error instanceof Terminal && error.code === 'too-large') return { reason: 'too-large', detail };
  if (error instanceof Terminal && error.code === 'malformed') return { reason: 'malformed', detail };
  return { reason: WHY.find(([pattern]) => pattern.test(detail))?.[1] ?? 'other', detail };
}

/** Our clock moved onto the source's: what an answer without a time of its own is dated by. */
export interface SourceClock {
  now(): number;
  /** The source said what time it is. */
  saw(at: number): void;
}

/** A clock that follows the source's as last seen; ours before that. */
export function sourceClock(): SourceClock {
  let ahead = 0;
  return {
    now: () => Date.now() + ahead,
    saw: (at) => {
      ahead = at - Date.now();
    },
  };
}

/** A number as a measurement: NaN and the infinities are no data. */
export function ofNumber(
  value: number,
  asked: { readonly at: number; readonly query: string },
  more: { readonly age?: number; readonly detail?: string } = {},
): Measurement {
  if (Number.isNaN(value)) return { kind: 'no-data', reason: 'nan', detail: 'the answer is NaN (0 divided by 0, or nothing to draw from)', ...asked };
  if (!Number.isFinite(value)) return { kind: 'no-data', reason: 'infinite', detail: `the answer is ${value > 0 ? '+Inf' : '-Inf'}`, ...asked };
  return { kind: 'value', value, ...asked, ...more };
}

/** The answer of a source that keeps no history. */
export const FORGETS: Series = { points: [], remembers: false };

/** The grid from, from+step, ... <= to, in whole ms. Throws on a step below 1 ms. */
export function grid(from: number, to: number, step: number): readonly number[] {
  if (!(step >= 1)) throw new Error(`step is ${step}; expected at least 1 ms`);
  return to < from ? [] : Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, index) => Math.round(from + index * step));
}

/** A text short enough for a message. */
export function clip(text: string, length = 200): string {
  const flat = text.replace(/\s+/g, ' ').trim();
  return flat.length <= length ? flat : `${flat.slice(0, length)}...`;
}
