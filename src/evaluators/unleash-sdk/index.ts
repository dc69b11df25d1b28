import { InMemStorageProvider, Unleash, UnleashEvents } from 'unleash-client';
import type { FlagRef } from '../../core/plan.ts';
import { redact } from '../../http.ts';
import type { OpenContext, Problem } from '../../providers/provider.ts';
import { silent, toEvaluation } from '../ask.ts';
import type { Evaluation, Evaluator, Question } from '../evaluator.ts';
import type { UnleashSdkConfig } from './config.ts';
import { toContext } from './translate.ts';

/** One request's deadline, ms. */
const DEADLINE = 2_000;
/** How long (ms) a question waits for the first answer of the server. */
const FIRST = 2_000;
/** The SDK gives up for good when its token is refused; a new one is tried so often, ms. */
const AGAIN = 10_000;

/** An SDK, and what it last heard. */
interface Watched {
  readonly sdk: Unleash;
  readonly openedAt: number;
  /** When the server last answered with the flags, or said that nothing has changed; undefined: never. */
  heardAt: number | undefined;
  trouble: string | undefined;
  stopped: boolean;
  /** Settles when the server has answered for the first time, or refused. */
  readonly first: Promise<void>;
}

/** Evaluates flags with the SDK that the apps use, fed by the server that they use. Several of them in the config are several SDKs. */
export function openUnleashSdk(config: UnleashSdkConfig, context: OpenContext): Promise<Evaluator> {
  const { instance } = context;
  const token = context.secret(config.token);
  /** An SDK keeps its last flags when the server is away: older ones than this are no proof. */
  const staleAfter = 3 * config.refreshInterval + DEADLINE;

  function watch(): Watched {
    const sdk = new Unleash({
      url: `${config.url.replace(/\/+$/, '').replace(/\/api$/, '')}/api`,
      appName: config.appName,
      instanceId: `gonogo ${instance}`,
      customHeaders: { Authorization: token },
      refreshInterval: config.refreshInterval,
      timeout: DEADLINE,
      // Our questions must not be counted as the app's users.
      disableMetrics: true,
      // Flags of another run, kept in a file, would be answers from the past.
      storageProvider: new InMemStorageProvider(),
      skipInstanceCountWarning: true,
    });
    const first = Promise.withResolvers<undefined>();
    const watched: Watched = { sdk, openedAt: Date.now(), heardAt: undefined, trouble: undefined, stopped: false, first: first.promise };
    const heard = (): void => {
      watched.heardAt = Date.now();
      watched.trouble = undefined;
      first.resolve(undefined);
    };
    const failed = (error: unknown): void => {
      const message = error instanceof Error ? error.message : String(error);
      watched.trouble = redact(message.slice(0, 300), [token]);
      watched.stopped ||= message.includes('Stopping refresh');
      first.resolve(undefined);
    };
    sdk.on(UnleashEvents.Changed, heard);
    sdk.on(UnleashEvents.Unchanged, heard);
    sdk.on(UnleashEvents.Error, failed);
    sdk.on(UnleashEvents.Warn, failed);
    return watched;
  }

  let current = watch();

  /** Why nothing that the SDK says is proof just now; undefined when it is. */
  async function notFresh(signal: AbortSignal): Promise<string | undefined> {
    if (signal.aborted) return `${instance} was told to stop`;
    if (current.stopped && Date.now() - current.openedAt > AGAIN) {
      current.sdk.destroy();
      current = watch();
    }
    const { first, openedAt } = current;
    const left = openedAt + FIRST - Date.now();
    if (current.heardAt === undefined && left > 0) {
      const over = AbortSignal.any([signal, AbortSignal.timeout(left)]);
      const stop = Promise.withResolvers<undefined>();
      over.addEventListener('abort', () => stop.resolve(undefined), { once: true });
      await Promise.race([first, stop.promise]);
    }
    const { heardAt, trouble } = current;
    const why = trouble === undefined ? '' : `: ${trouble}`;
    if (heardAt === undefined) return `${instance} has no flags from ${config.url} yet${why}`;
    const age = Date.now() - heardAt;
    return age > staleAfter ? `${instance} last heard from ${config.url} ${Math.round(age / 1_000)} s ago, its flags are stale${why}` : undefined;
  }

  function answer({ flag, subject }: Question): Evaluation {
    const { sdk } = current;
    if (sdk.getFeatureToggleDefinition(flag.key) === undefined) return { kind: 'silent', instance, detail: `flag ${flag.key} is not served to ${instance}` };
    const asked = toContext(subject);
    if (flag.type === 'boolean') return toEvaluation(instance, flag, sdk.isEnabled(flag.key, asked, false));
    const variant = sdk.getVariant(flag.key, asked);
    // Without a variant an app falls back to the value it was built with.
    return toEvaluation(instance, flag, variant.enabled ? (variant.payload?.value ?? variant.name) : flag.offValue);
  }

  return Promise.resolve({
    kind: 'unleash-sdk',
    async evaluate(questions: readonly Question[], signal: AbortSignal) {
      const stale = await notFresh(signal);
      if (stale !== undefined) return questions.map((): readonly Evaluation[] => [{ kind: 'silent', instance, detail: stale }]);
      return questions.map((question): readonly Evaluation[] => {
        try {
          return [answer(question)];
        } catch (error) {
          return [silent(instance, error)];
        }
      });
    },
    async check(flags: readonly FlagRef[], signal: AbortSignal): Promise<readonly Problem[]> {
      const stale = await notFresh(signal);
      if (stale !== undefined) {
        return [
          {
            where: `evaluators.${instance}`,
            message: stale,
            hint: "a rollback is proven here: the server must answer, and accept the environment's backend token",
          },
        ];
      }
      return flags
        .filter((flag) => current.sdk.getFeatureToggleDefinition(flag.key) === undefined)
        .map((flag) => ({
          where: `flags.${flag.flag}`,
          message: `flag ${flag.key} is not served to ${instance}`,
          hint: "its token must be one of the flag's project and environment, and the flag must not be archived",
        }));
    },
    close() {
      current.sdk.destroy();
      return Promise.resolve();
    },
  });
}
