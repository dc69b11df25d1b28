import type { Api } from './api.ts';
import { openApi } from './api.ts';

/** Who takes part in a launch: a name, and the roles of the token. One starts it, so that nobody signs what they started. */
export const PEOPLE = [
  { name: 'Igor Sokolov', roles: ['releaser', 'on-call'] },
  { name: 'Anna Petrova', roles: ['release-engineer'] },
  { name: 'Dmitri Orlov', roles: ['qa'] },
  { name: 'Lena Wirth', roles: ['product'] },
  { name: 'Olga Smirnova', roles: ['legal'] },
] as const;

/** A role that somebody of the demo holds. */
export type Role = (typeof PEOPLE)[number]['roles'][number];

/** The people at the API, each with their own token. */
export interface Crew {
  /** Whoever holds the role. Throws when nobody does: the plan asks for somebody the demo does not have. */
  readonly as: (role: string) => Api & { readonly name: string };
}

/** Gives each person their token. `tokens` are by name. */
export function openCrew(url: string, tokens: ReadonlyMap<string, string>): Crew {
  const members = PEOPLE.map((person) => {
    const token = tokens.get(person.name);
    if (token === undefined) throw new Error(`${person.name} has no token`);
    return { ...person, api: { ...openApi(url, token), name: person.name } };
  });
  return {
    as: (role) => {
      const member = members.find((one) => one.roles.some((held) => held === role));
      if (member === undefined) throw new Error(`nobody of the demo holds the role ${role}; expected one of ${members.flatMap((one) => one.roles).join(', ')}`);
      return member.api;
    },
  };
}
