import { z } from 'zod';

/** Where one of a subject's attributes stands for vendors that know several kinds of contexts: which kind, and which attribute of it. */
export interface Place {
  readonly kind: string;
  readonly attribute: string;
}

const KIND = /^[\w.-]+$/;

/** Config fields that say where a subject's attributes stand; a provider and the evaluators that prove it must be given the same. */
export const placesConfig = {
  subject: z.string().regex(KIND).default('user').describe("Context kind of the subject's own key"),
  attributes: z
    .record(z.string(), z.string().regex(/^[\w-]+\.[^.]+$/, 'must be <context kind>.<attribute>, e.g. contract.key'))
    .default({})
    .describe('Context kind and attribute of each attribute that plans name, e.g. contract: contract.key. Default: the attribute of that name of the subject'),
};

/** How attributes and places translate into one another. */
export interface Places {
  readonly subject: string;
  /** Where the attribute stands. */
  placeOf(attribute: string): Place;
  /** What a plan calls this place. */
  nameOf(place: Place): string;
}

function split(text: string): Place {
  const dot = text.indexOf('.');
  return { kind: text.slice(0, dot), attribute: text.slice(dot + 1) };
}

/** Places by the config: those named there, else `kind.attribute` as it is written, else the subject's own attribute. */
export function placesOf(config: { readonly subject: string; readonly attributes: Readonly<Record<string, string>> }): Places {
  const { subject } = config;
  const named = new Map(Object.entries(config.attributes));
  const names = new Map([...named].map(([name, place]) => [place, name]));
  return {
    subject,
    placeOf(attribute) {
      if (attribute === 'key' || attribute === 'targetingKey') return { kind: subject, attribute: 'key' };
      const place = named.get(attribute);
      if (place !== undefined) return split(place);
      return attribute.includes('.') ? split(attribute) : { kind: subject, attribute };
    },
    nameOf({ kind, attribute }) {
      const name = names.get(`${kind}.${attribute}`);
      if (name !== undefined) return name;
      return kind === subject ? attribute : `${kind}.${attribute}`;
    },
  };
}
