import type { Context } from 'unleash-client';
import type { Subject } from '../../core/subject.ts';

/** Unleash's context of a subject: its key is the user's id, unless it has one by name. */
export function toContext({ key, attributes }: Subject): Context {
  const { userId, sessionId, remoteAddress, ...properties } = attributes;
  return {
    userId: userId ?? key,
    ...(sessionId === undefined ? {} : { sessionId }),
    ...(remoteAddress === undefined ? {} : { remoteAddress }),
    properties,
  };
}
