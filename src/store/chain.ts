import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { LaunchEvent } from '../core/event.ts';

/** The first event's `prev`: 32 zero bytes, hex. */
export const GENESIS = '0'.repeat(64);

/** An event's canonical bytes (RFC 8785), as stored and hashed. */
export function bodyOf(event: LaunchEvent): string {
  const body = canonicalize(event);
  if (body === undefined) throw new Error('an event must be JSON');
  return body;
}

/** Hex SHA-256(prev || seq as 8 bytes, big-endian || recordedAt as ISO 8601 in ms || body): the hash that `append_event` makes. */
export function hashOf(prev: string, seq: number, recordedAt: string, body: string): string {
  const number = Buffer.alloc(8);
  number.writeBigUInt64BE(BigInt(seq));
  return createHash('sha256').update(Buffer.from(prev, 'hex')).update(number).update(recordedAt, 'utf8').update(body, 'utf8').digest('hex');
}

/** A link of the chain as a report carries it. */
export interface Link {
  readonly seq: number;
  readonly recordedAt: string;
  readonly body: string;
  readonly hash: string;
}

/** Says where a chain breaks: a wrong number, a wrong hash. Undefined when every link holds. */
export function brokenLink(links: readonly Link[]): { readonly seq: number; readonly why: string } | undefined {
  let prev = GENESIS;
  for (const [index, link] of links.entries()) {
    if (link.seq !== index + 1) return { seq: link.seq, why: `event ${link.seq} stands where ${index + 1} was expected` };
    const hash = hashOf(prev, link.seq, link.recordedAt, link.body);
    if (hash !== link.hash) return { seq: link.seq, why: `event ${link.seq} does not match its hash` };
    prev = link.hash;
  }
  return undefined;
}
