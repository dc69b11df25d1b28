import { compile, TreeInterpreter, type JSONValue } from '@jmespath-community/jmespath';
import type { Measurement } from '../../core/measurement.ts';
import { clip, ofNumber } from '../ask.ts';
import type { Query } from '../source.ts';
import type { Page } from './client.ts';

/** Objects without a prototype: an expression reaches the document's own names and nothing else. */
function parse(text: string): JSONValue | undefined {
  try {
    return JSON.parse(text, (_key, value: unknown) =>
      typeof value === 'object' && value !== null && !Array.isArray(value) ? (Object.assign(Object.create(null) as object, value) as JSONValue) : value,
    ) as JSONValue;
  } catch {
    return undefined;
  }
}

/** What is wrong with a JMESPath expression, or nothing. */
export function expressionProblem(expression: string): string | undefined {
  try {
    compile(expression);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** The number that the query picks from the document; `alive`, where given, must pick true or 1 from the same document. */
export function pageMeasurement(query: Query, page: Page, now: number): Measurement {
  const asked = { at: page.ok ? page.servedAt : now, query: query.text };
  if (!page.ok) return { kind: 'error', ...page.failing, ...asked };
  const document = parse(page.text);
  if (document === undefined) return { kind: 'error', reason: 'malformed', detail: `the answer starts "${clip(page.text, 60)}"; expected JSON`, ...asked };
  let found: JSONValue;
  let alive: JSONValue;
  try {
    found = TreeInterpreter.search(compile(query.text), document);
    alive = query.alive === undefined ? true : TreeInterpreter.search(compile(query.alive), document);
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    // JMESPath's own name for a division by zero.
    if (said.includes('not-a-number')) return { kind: 'no-data', reason: 'nan', detail: said, ...asked };
    return { kind: 'error', reason: said.includes('Invalid type') ? 'wrong-type' : 'other', detail: clip(said), ...asked };
  }
  if (found === null) return { kind: 'no-data', reason: 'empty', detail: 'the document has nothing there, or null', ...asked };
  if (typeof found !== 'number')
    return { kind: 'error', reason: 'wrong-type', detail: `the document has ${clip(JSON.stringify(found), 60)} there; expected a number`, ...asked };
  const judged = ofNumber(found, asked);
  if (judged.kind !== 'value' || alive === true || alive === 1) return judged;
  return { kind: 'no-data', reason: 'stale', detail: `alive is ${clip(JSON.stringify(alive), 60)}; expected true or 1`, ...asked };
}
