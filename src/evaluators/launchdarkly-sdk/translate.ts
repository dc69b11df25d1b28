import type { Subject } from '../../core/subject.ts';
import type { Places } from '../../flags/places.ts';

/** A context as LaunchDarkly takes it: of one kind, or of several. */
export type Context = { readonly kind: string } & Readonly<Record<string, unknown>>;

/** Somebody listed in a segment, by context kind and key; undefined where nobody is named in it. */
export type MemberOf = (segment: string) => { readonly kind: string; readonly key: string } | undefined;

/** The first person whom a segment's document lists by key, in the SDK's words and in the REST API's. */
export function memberOf(segment: unknown, subject: string): ReturnType<MemberOf> {
  const of = (name: string): unknown => (typeof segment === 'object' && segment !== null ? (Reflect.get(segment, name) as unknown) : undefined);
  const included = of('included');
  const [user] = Array.isArray(included) ? included.filter((key) => typeof key === 'string') : [];
  if (user !== undefined && subject === 'user') return { kind: 'user', key: user };
  const groups: readonly unknown[] = Array.isArray(of('includedContexts')) ? (of('includedContexts') as unknown[]) : [];
  for (const group of groups) {
    const kind: unknown = typeof group === 'object' && group !== null ? Reflect.get(group, 'contextKind') : undefined;
    const values: unknown = typeof group === 'object' && group !== null ? Reflect.get(group, 'values') : undefined;
    const [key] = Array.isArray(values) ? values.filter((value) => typeof value === 'string') : [];
    if (typeof kind === 'string' && key !== undefined) return { kind, key };
  }
  return user === undefined ? undefined : { kind: 'user', key: user };
}

/**
 * The subject as a context: its own key by the subject's kind, each attribute where it stands, and for `segment` somebody
 * whom that segment lists in the place of the made-up subject. Answers the segment's name where it lists nobody by key.
 */
export function toContext(subject: Subject, places: Places, member: MemberOf): Context | { readonly nobodyIn: string } {
  const parts = new Map<string, Record<string, unknown>>([[places.subject, { key: subject.key }]]);
  for (const [attribute, value] of Object.entries(subject.attributes)) {
    if (attribute === 'segment') {
      const found = member(value);
      if (found === undefined) return { nobodyIn: value };
      parts.set(found.kind, { ...parts.get(found.kind), key: found.key });
      continue;
    }
    const { kind, attribute: name } = places.placeOf(attribute);
    parts.set(kind, { key: subject.key, ...parts.get(kind), [name]: value });
  }
  const [only, ...more] = [...parts];
  if (only !== undefined && more.length === 0) return { ...only[1], kind: only[0] };
  return { kind: 'multi', ...Object.fromEntries(parts) };
}
