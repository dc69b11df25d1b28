import type { Measurement } from '../../core/measurement.ts';
import { clip, ofNumber } from '../ask.ts';
import type { TableReply } from './client.ts';

/** int8, int2, int4, float4, float8, numeric: https://github.com/postgres/postgres/blob/master/src/include/catalog/pg_type.dat */
const NUMBERS: ReadonlySet<number> = new Set([20, 21, 23, 700, 701, 1700]);
const BOOLEAN = 16;

/** One row with one number is a value; no row or null is no data: no uses is not 0 %. */
export function tableMeasurement(reply: TableReply, asked: { readonly at: number; readonly query: string }): Measurement {
  if (!reply.ok) return { kind: 'error', ...reply.failing, ...asked };
  const { types, rows } = reply.table;
  if (types.length !== 1) return { kind: 'error', reason: 'wrong-type', detail: `the answer has ${types.length} columns; expected one`, ...asked };
  if (rows.length > 1) return { kind: 'error', reason: 'several-series', detail: 'the answer has several rows; expected one: aggregate it', ...asked };
  const text = rows[0]?.[0];
  if (text === undefined || text === null)
    return { kind: 'no-data', reason: 'empty', detail: rows.length === 0 ? 'the answer has no row' : 'the answer is null', ...asked };
  if (!NUMBERS.has(types[0] ?? 0))
    return {
      kind: 'error',
      reason: 'wrong-type',
      detail: `the answer is "${clip(text, 40)}"; expected a number: cast it, or use extract(epoch from ...)`,
      ...asked,
    };
  return ofNumber(Number(text), asked);
}

/** The value, unless the `alive` query beside it does not answer true or 1. */
export function withAlive(value: Measurement, alive: TableReply | undefined): Measurement {
  if (value.kind !== 'value' || alive === undefined) return value;
  const asked = { at: value.at, query: value.query };
  if (!alive.ok) return { kind: 'error', reason: alive.failing.reason, detail: `while asking whether the data are alive: ${alive.failing.detail}`, ...asked };
  const [[text] = []] = alive.table.rows;
  const yes = alive.table.types[0] === BOOLEAN ? text === 't' : text !== null && text !== undefined && Number(text) === 1;
  return yes ? value : { kind: 'no-data', reason: 'stale', detail: `alive is ${text ?? 'null'}; expected true or 1`, ...asked };
}
