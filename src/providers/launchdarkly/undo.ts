import { targetsOf, type LdRule } from './document.ts';
import { idOf } from './reading.ts';
import { serving, type Instruction, type Native } from './translate.ts';

/** The patch that puts the snapshot back whatever the flag has become: one that needs no ids that may be gone, for people to paste. */
export function toUndo(native: Native): readonly Instruction[] {
  const { setting } = native;
  if (!setting.on) return [{ kind: 'turnFlagOff' }];
  const bare = (rule: LdRule): Readonly<Record<string, unknown>> => ({
    ...(rule.description === undefined ? {} : { description: rule.description }),
    clauses: rule.clauses,
    ...serving(native, rule),
  });
  return [
    { kind: 'replaceTargets', targets: targetsOf(setting).map(({ variation, ...target }) => ({ ...target, variationId: idOf(native, variation) })) },
    { kind: 'replaceRules', rules: setting.rules.filter((rule) => rule.disabled !== true).map(bare) },
    { kind: 'updateFallthroughVariationOrRollout', ...serving(native, setting.fallthrough) },
    { kind: 'turnFlagOn' },
  ];
}

/** A shell word that holds any text. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Where and as whom the command of `undoCommand` writes. */
export interface UndoTarget {
  readonly address: string;
  readonly project: string;
  readonly environment: string;
  /** The config's reference to the token; the command reads the variable that it names, else LAUNCHDARKLY_TOKEN. */
  readonly token: string;
}

/** The command that puts the snapshot back by hand. */
export function undoCommand(native: Native, { address, project, environment, token }: UndoTarget): string {
  const variable = /^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$/.exec(token)?.[1] ?? 'LAUNCHDARKLY_TOKEN';
  const url = `${address}/api/v2/flags/${encodeURIComponent(project)}/${encodeURIComponent(native.key)}?ignoreConflicts=true`;
  const body = JSON.stringify({ comment: 'gonogo: put back by hand', environmentKey: environment, instructions: toUndo(native) });
  return `curl -fsS -X PATCH ${quoted(url)} -H "Authorization: $${variable}" -H 'LD-API-Version: 20240415' -H 'Content-Type: application/json; domain-model=launchdarkly.semanticpatch' -d ${quoted(body)}`;
}
