import type { Exposure, FlagValue } from '../../../src/core/exposure.ts';
import type { FlagRef } from '../../../src/core/plan.ts';
import type { Subject } from '../../../src/core/subject.ts';
import type { FlagProvider } from '../../../src/providers/provider.ts';
import type { Answer, Exchange, Front } from '../../support/front.ts';

/** A case that this provider cannot have, and why: the table shows the reason in the case's cell. */
export interface Cannot {
  readonly cannot: string;
}

/** How to do it with this provider, or why it cannot be done. */
export type Or<Hook> = Hook | Cannot;

/** Whether it is a reason instead of a way. */
export function isCannot(hook: unknown): hook is Cannot {
  return typeof hook === 'object' && hook !== null && 'cannot' in hook;
}

/** Capabilities that a provider may lack; each that is false needs a reason. */
export type Claim = 'share' | 'lists' | 'values' | 'guarded' | 'fences';

/** A flag that wears everything the vendor can hang on it. */
export interface Dressed {
  /**
   * Makes a flag, reaching less than everyone, with all that gonogo's writes may touch: targets, rules, prerequisites,
   * strategies with segments and constraints, variants. Each call makes a new flag, dressed alike.
   */
  make(): Promise<FlagRef>;
  /** Fields of the vendor's document that a restore does not bring back, each with its reason: `salt: the vendor refuses to change it`. Printed below the table. */
  readonly ignored: readonly string[];
}

/** Something on the same flag, or beside it, that is not ours: another rule, another strategy, another environment. */
export interface AnotherRule {
  /** Changes it as somebody else would; makes it where it is not there. Called once per flag, after our write. */
  change(flag: FlagRef): Promise<void>;
  /** What it says, straight from the vendor. */
  see(flag: FlagRef): Promise<unknown>;
}

/**
 * What the suite needs of a provider under test: real flags, somebody else's hand, the flag's users, and the vendor seen
 * from behind. Everything but `provider` (and `undo`'s command) goes to the vendor directly, never through `front`.
 */
export interface ProviderUnderTest {
  /** Opened with `front`'s address in place of the vendor's. Its evaluators are not behind the front. */
  readonly provider: FlagProvider;
  /** Stands between the provider and its vendor, and spoils what the suite tells it to. */
  readonly front: Front;
  /** Whether this exchange changes something at the vendor: a PATCH is, a dry run is not. */
  readonly writes: (exchange: Exchange) => boolean;
  /** Why a capability that `provider.can` denies cannot be had; one reason for each that is false. `fractions`: why a share is a whole percent. */
  readonly lacks: Readonly<Partial<Record<Claim | 'fractions', string>>>;

  /** Makes a flag at the vendor, off; `type` other than boolean only where the provider claims values. Flags of one run share a unit where the provider has units of several flags. */
  newFlag(type?: FlagRef['type']): Promise<FlagRef>;
  /** Writes the exposure as somebody else would: not through this provider. */
  someoneElse(flag: FlagRef, to: Exposure): Promise<void>;
  /** The name, or a part of it, by which the vendor knows who wrote in `someoneElse`: `lastChange` must say it. */
  readonly somebody: Or<string>;
  /** What a user of the flag gets just now, from the evaluator that goes with this provider. */
  valueFor(flag: FlagRef, subject: Subject): Promise<FlagValue>;
  /** How many flags the vendor has: the same before and after everything that must not make one. */
  countFlags(): Promise<number>;
  /**
   * The fields that gonogo owns, read straight from the vendor in one canonical spelling: no ids that the vendor gives,
   * no times, no counters, not the flag's key; lists that have no order sorted. Two flags with the same history are equal.
   */
  owned(flag: FlagRef): Promise<unknown>;

  readonly dressed: Or<Dressed>;
  readonly anotherRule: Or<AnotherRule>;
  /** `true` where a restore is several writes, or one slow one: the flag is switched off by its first write, and the rest follows. */
  readonly offFirst: Or<true>;

  /** Ways in which a flag goes away under a launch; each leaves `flag.key` unusable. */
  readonly gone: {
    archive: Or<(flag: FlagRef) => Promise<void>>;
    rename: Or<(flag: FlagRef) => Promise<void>>;
    remove: Or<(flag: FlagRef) => Promise<void>>;
  };

  /** `true` where the vendor answers with HTTP statuses, so that the front can answer in its place. */
  readonly statuses: Or<true>;
  /** A header, other than `Retry-After`, in which the vendor says when to come again, as epoch milliseconds. */
  readonly resetHeader?: string;
  /**
   * What the vendor would answer had it done the write, without doing it (a dry run, an unchanged document). `true`: the
   * front answers 200 with what a GET of the same address says, or with an empty body where that is no 2xx.
   */
  readonly withoutEffect: Or<true | ((exchange: Exchange) => Promise<Answer>)>;

  /** The environment in which `undo`'s command is pasted into bash: what its references name, tokens included. PATH is added. */
  readonly shell: Or<Readonly<Record<string, string>>>;
  /** Calls that must fail because the credential is wrong or the vendor is away; each config holds one of `secrets`. */
  readonly failing: readonly (() => Promise<unknown>)[];
  /** Texts that appear in no error, snapshot, command or log line: the credentials that the provider was opened with. */
  readonly secrets: readonly string[];
  close(): Promise<void>;
}
