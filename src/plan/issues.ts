import type { z } from 'zod';
import { show, spell, type Path, type Places, type Problem } from './problem.ts';

type Issue = z.core.$ZodIssue;

/** Tells which member of a union the author meant, by what was written: its index, or undefined when none fits better. */
export type Meant = (path: Path, found: unknown) => number | undefined;

/** A sentence of our own instead of "is X; expected Y": give it as `params.said` of a custom issue; it follows the path. */
export interface Said {
  readonly said: string;
  readonly hint?: string;
}

/** More problems than anyone reads at once. */
const ENOUGH = 50;

/** Turns zod's issues into problems in the house's words: every schema's `error` text is what was expected there. One problem per place, and not more than anyone reads. */
export function toProblems(issues: readonly Issue[], root: unknown, places: Places, meant: Meant): Problem[] {
  const problems = issues.slice(0, ENOUGH).flatMap((issue) => translate(issue, [], root, places, meant));
  const seen = new Set<string>();
  return problems.filter((problem) => {
    const fresh = !seen.has(problem.path);
    seen.add(problem.path);
    return fresh;
  });
}

function translate(issue: Issue, before: Path, root: unknown, places: Places, meant: Meant): Problem[] {
  const path = [...before, ...issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part))];
  const found = look(root, path);
  const what = path.length === 0 ? 'the document' : spell(path);
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.slice(0, ENOUGH).map((key) => ({
        code: 'unknown_field',
        path: spell([...path, key]),
        ...places.name([...path, key]),
        message: `${spell([...path, key])} is not a known field; expected ${issue.message}`,
        hint: '',
      }));
    case 'invalid_key':
      return [
        {
          code: 'wrong_value',
          path: spell(path),
          ...places.name(path),
          message: `${spell(path.slice(0, -1)) || 'the document'} has the name ${show(path.at(-1))}; expected ${issue.issues[0]?.message ?? 'a name'}`,
          hint: '',
        },
      ];
    case 'invalid_union': {
      const branch = chosen(issue.errors, path, found, meant);
      if (branch !== undefined) return branch.flatMap((inner) => translate(inner, path, root, places, meant));
      break;
    }
    case 'custom': {
      const own = issue.params as Said | undefined;
      if (own !== undefined) return [{ code: 'wrong_value', path: spell(path), ...places.value(path), message: `${what} ${own.said}`, hint: own.hint ?? '' }];
      break;
    }
  }
  if (found === undefined)
    return [{ code: 'missing_field', path: spell(path), ...places.value(path), message: `${what} is missing; expected ${issue.message}`, hint: '' }];
  return [
    {
      code: 'wrong_value',
      path: spell(path),
      ...places.value(path),
      message: `${what} is ${show(found)}; expected ${expected(issue.message, path, root)}`,
      hint: '',
    },
  ];
}

/** The member that was meant: told by `meant`, else the only one that got further than the value's type. */
function chosen(branches: readonly (readonly Issue[])[], path: Path, found: unknown, meant: Meant): readonly Issue[] | undefined {
  const index = meant(path, found);
  if (index !== undefined) return branches[index];
  const wrongType = (issues: readonly Issue[]) =>
    issues.some((issue) => issue.path.length === 0 && (issue.code === 'invalid_type' || issue.code === 'invalid_value'));
  const inside = branches.filter((issues) => issues.length > 0 && !wrongType(issues));
  return inside.length === 1 ? inside[0] : undefined;
}

/** A bound's number is of the unit that the gate or check names. */
function expected(message: string, path: Path, root: unknown): string {
  const unit = look(root, [...path.slice(0, -1), 'unit']);
  return unit === 's' && message.startsWith('a number, ') ? 'a number of seconds, e.g. 1' : message;
}

function look(root: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (value, part) =>
      typeof value === 'object' && value !== null && Object.hasOwn(value, part) ? (value as Record<string | number, unknown>)[part] : undefined,
    root,
  );
}
