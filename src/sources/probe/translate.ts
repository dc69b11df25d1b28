import { z } from 'zod';
import type { Measurement } from '../../core/measurement.ts';
import type { Response } from './client.ts';

/** What a probe expects: `status` any of these, the last byte within `maxLatency` ms, `contains` somewhere in the body; `within` ms it is waited for at most. */
export const expectationSchema = z.strictObject({
  status: z.array(z.number().int()).min(1).default([200]),
  maxLatency: z.number().positive().optional(),
  within: z.number().positive().optional(),
  contains: z.string().min(1).optional(),
});

export type Expectation = z.infer<typeof expectationSchema>;

/** The address of `path` below the base; undefined where it would lead anywhere else. */
export function addressOf(base: string, path: string): URL | undefined {
  const root = new URL(base);
  const folder = root.pathname.replace(/\/+$/, '');
  if (!path.startsWith('/') || path.startsWith('//') || path.includes('\\')) return undefined;
  // The parser resolves dots, encoded ones too, so what it gives back is what will be asked.
  const address = URL.canParse(folder + path, root.origin) ? new URL(folder + path, root.origin) : undefined;
  if (address === undefined || address.origin !== root.origin || address.username !== '') return undefined;
  return address.pathname === folder || address.pathname.startsWith(`${folder}/`) ? address : undefined;
}

/** 1 where the answer is as expected, 0 where it is not or none came: the app is what is asked, so its silence is its failure and no error of ours. */
export function probeMeasurement(expected: Expectation, response: Response, asked: { readonly at: number; readonly query: string }): Measurement {
  const took = `${Math.round(response.took)} ms`;
  const says = (value: 0 | 1, detail: string): Measurement => ({ kind: 'value', value, detail, ...asked });
  if (!response.ok) {
    const { reason, detail } = response.failing;
    // Stopped by whoever asked, or more than we read: nothing was learned about the app, unless it was too slow by then.
    const tooSlow = expected.maxLatency !== undefined && response.took > expected.maxLatency;
    const unknown = response.stopped ? !tooSlow : reason === 'other' || reason === 'too-large';
    return unknown ? { kind: 'error', reason, detail, ...asked } : says(0, `${reason} after ${took}: ${detail}`);
  }
  const { status, text } = response;
  if (!expected.status.includes(status)) return says(0, `status ${status} after ${took}; expected ${expected.status.join(' or ')}`);
  if (expected.maxLatency !== undefined && response.took > expected.maxLatency)
    return says(0, `status ${status} after ${took}; expected at most ${expected.maxLatency} ms`);
  if (expected.contains !== undefined && !text.includes(expected.contains))
    return says(0, `status ${status} without ${JSON.stringify(expected.contains)} in its body`);
  return says(1, `status ${status} after ${took}`);
}
