import { execFileSync } from 'node:child_process';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';

/** The vendor's descriptions of its answers that the fake is held to. */
export type SchemaName =
  | 'FeatureFlag'
  | 'Project'
  | 'Environment'
  | 'AuditLogEntryListingRepCollection'
  | 'UserSegment'
  | 'UserSegments'
  | 'ContextInstanceEvaluations'
  | 'TriggerWorkflowRep'
  | 'TriggerWorkflowCollectionRep'
  | 'CallerIdentityRep'
  | 'ErrorRep';

/** Says what in a document is not as the vendor describes it; undefined where all is. */
export type Judge = (name: SchemaName, document: unknown) => string | undefined;

/** Judges by the schemas that set-up's `launchdarkly-schemas` prints: they come from the vendor's own package. */
export function judgeBy(program: string): Judge {
  const all = JSON.parse(execFileSync(program, { encoding: 'utf8', maxBuffer: 64 * 1_048_576 })) as Readonly<Record<string, unknown>>;
  const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: false });
  ajv.addSchema({ ...all, $id: 'launchdarkly' });
  const compiled = new Map<string, ValidateFunction>();
  return (name, document) => {
    const wanted = name === 'ErrorRep' ? 'ForbiddenErrorRep' : name === 'Project' ? 'ProjectRep' : name;
    const validate = compiled.get(wanted) ?? ajv.compile({ $ref: `launchdarkly#/$defs/${wanted}` });
    compiled.set(wanted, validate);
    if (validate(document)) return undefined;
    return `${name}: ${ajv.errorsText(validate.errors)}`;
  };
}
