import { search, type JSONValue } from '@jmespath-community/jmespath';
import { Terminal } from '../../core/failure.ts';
import type { Subject } from '../../core/subject.ts';

/** A proof's URL for one subject: the host's name and the rest, with `{key}` and `{attribute}` filled in. Throws Terminal `proof`. */
export function fillUrl(url: string, subject: Subject): { readonly host: string; readonly path: string } {
  const [, host, rest] = /^\$\{([a-z][a-z0-9_-]*)\}(.*)$/s.exec(url) ?? [];
  if (host === undefined || rest === undefined) throw new Terminal('proof', `url "${url}" names no host; expected \${name} of the config first`);
  const path = rest.replace(/\{([^{}]+)\}/g, (_, name: string) => {
    const value = name === 'key' ? subject.key : Object.hasOwn(subject.attributes, name) ? subject.attributes[name] : undefined;
    if (value === undefined) throw new Terminal('proof', `subject ${subject.key} has no attribute ${name}, which url "${url}" needs`);
    // A path segment of dots would lead elsewhere; encoding leaves dots alone.
    if (/^\.{0,2}$/.test(value)) throw new Terminal('proof', `attribute ${name} is "${value}"; it cannot stand in a URL`);
    return encodeURIComponent(value);
  });
  return { host, path };
}

/** What `select` finds in a document; null where there is nothing. Throws Terminal `proof` where the expression is wrong. */
export function selectFrom(document: unknown, select: string): unknown {
  try {
    return search(document as JSONValue, select);
  } catch (error) {
    throw new Terminal(
      'proof',
      `select "${select}": ${error instanceof Error ? error.message : String(error)}; expected a JMESPath expression, e.g. flags."chat.enabled"`,
    );
  }
}
