import type { z } from 'zod';
import type { Plan } from '../core/plan.ts';
import { readDocument, readObject, type Read } from './document.ts';
import { meantGate } from './gate-forms.ts';
import { toProblems, type Meant } from './issues.ts';
import type { Places, Problem } from './problem.ts';
import { planSchema } from './schema.ts';

/** A plan with the place of everything in its text (for `checkPlan`), or everything that is wrong with it. */
export type LoadedPlan = { readonly ok: true; readonly plan: Plan; readonly places: Places } | { readonly ok: false; readonly problems: readonly Problem[] };

/** Reads a plan from YAML that may come from anyone. Never throws. What crosses fields or needs the registry is `checkPlan`'s. */
export function loadPlan(text: string): LoadedPlan {
  return understand(readDocument(text));
}

/** The same for a plan that came as JSON. Never throws. */
export function loadPlanObject(object: unknown): LoadedPlan {
  return understand(readObject(object));
}

function understand(read: Read): LoadedPlan {
  const parsed = parseWith(planSchema, read, meantGate);
  return parsed.ok ? { ok: true, plan: parsed.data, places: parsed.places } : parsed;
}

/** A document put through a schema: its data, or problems in the house's words. */
export function parseWith<T extends z.ZodType>(
  schema: T,
  read: Read,
  meant: Meant = () => undefined,
): { readonly ok: true; readonly data: z.output<T>; readonly places: Places } | { readonly ok: false; readonly problems: readonly Problem[] } {
  if (!read.ok) return read;
  const parsed = schema.safeParse(read.value);
  if (parsed.success) return { ok: true, data: parsed.data, places: read.places };
  return { ok: false, problems: toProblems(parsed.error.issues, read.value, read.places, meant) };
}
