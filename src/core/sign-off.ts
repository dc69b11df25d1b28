import type { Stage } from './plan.ts';
import type { Signature } from './clearance.ts';

/** Who wants to sign what, and who has signed already in this round. */
export interface SignatureWish {
  readonly stage: Stage;
  readonly role: string;
  readonly person: string;
  readonly roles: readonly string[];
  readonly startedBy: string;
  readonly decision: 'go' | 'no-go';
  readonly given: readonly Signature[];
}

/** Why a person may not sign: a stable code, and a sentence for the person. */
export interface SignatureRefusal {
  readonly code: 'role_not_held' | 'role_not_asked' | 'one_person_one_role' | 'self_approval_forbidden' | 'already_signed';
  readonly message: string;
}

/**
 * Who may sign: a holder of the role, asked by the stage, in one role only; the starter signs as release-engineer at
 * most, and is never the only signer. Undefined when the signature stands, `already_signed` for an exact repeat.
 */
export function refuseSignature(wish: SignatureWish): SignatureRefusal | undefined {
  const asked = wish.stage.signOff.map((rule) => rule.role);
  if (!wish.roles.includes(wish.role)) {
    return {
      code: 'role_not_held',
      message: `${wish.person} does not hold the role ${wish.role}; held: ${wish.roles.join(', ') || 'none'}. Ask who gives out roles`,
    };
  }
  if (!asked.includes(wish.role)) {
    return { code: 'role_not_asked', message: `stage ${wish.stage.id} asks for ${asked.join(', ') || 'nobody'}, not for ${wish.role}` };
  }
  const before = wish.given.find((signature) => signature.person === wish.person);
  if (before !== undefined && before.role !== wish.role) {
    return { code: 'one_person_one_role', message: `${wish.person} signed stage ${wish.stage.id} as ${before.role}; one person, one role` };
  }
  if (before?.decision === wish.decision) {
    return { code: 'already_signed', message: `${wish.person} has said ${wish.decision} to stage ${wish.stage.id} as ${wish.role} already` };
  }
  if (wish.person !== wish.startedBy || wish.decision === 'no-go') return undefined;
  if (wish.role !== 'release-engineer') {
    return { code: 'self_approval_forbidden', message: `${wish.person} started this launch and may sign only as release-engineer` };
  }
  const others = wish.stage.signOff.reduce((sum, rule) => sum + rule.count, 0) - 1;
  return others > 0 ? undefined : { code: 'self_approval_forbidden', message: `${wish.person} started this launch and may not be its only signer` };
}
