import { parseDuration } from '../core/duration.ts';
import { usage } from './exit.ts';

/** A span given to a flag, in ms; undefined when it was left out. Throws Exit. */
export function spanOf(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const span = parseDuration(text);
  if (span === undefined || span === 0) throw usage(`${flag} is ${JSON.stringify(text)}; expected a span like 30s, 5m, 2h or 14d`);
  return span;
}
