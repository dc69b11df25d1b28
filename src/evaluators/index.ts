import type { z } from 'zod';
import { Terminal } from '../core/failure.ts';
import type { OpenContext } from '../providers/provider.ts';
import type { Evaluator } from './evaluator.ts';
import { httpConfig } from './http/config.ts';
import { openHttpEvaluator } from './http/index.ts';
import { launchdarklyRestConfig } from './launchdarkly-rest/config.ts';
import { openLaunchdarklyRestEvaluator } from './launchdarkly-rest/index.ts';
import { launchdarklySdkConfig } from './launchdarkly-sdk/config.ts';
import { openLaunchdarklySdkEvaluator } from './launchdarkly-sdk/index.ts';
import { ofrepConfig } from './ofrep/config.ts';
import { openOfrepEvaluator } from './ofrep/index.ts';
import { openfeatureConfig } from './openfeature/config.ts';
import { openOpenfeatureEvaluator } from './openfeature/index.ts';
import { storeConfig } from './store/config.ts';
import { openStoreEvaluator } from './store/index.ts';
import { unleashMetricsConfig } from './unleash-metrics/config.ts';
import { openUnleashMetrics } from './unleash-metrics/index.ts';
import { unleashSdkConfig } from './unleash-sdk/config.ts';
import { openUnleashSdk } from './unleash-sdk/index.ts';

/** One kind of evaluator: what its config looks like, and how it is opened. */
interface Kind {
  readonly schema: z.ZodType;
  open(raw: unknown, context: OpenContext): Promise<Evaluator>;
}

function kind<Config>(schema: z.ZodType<Config>, open: (config: Config, context: OpenContext) => Promise<Evaluator>): Kind {
  return {
    schema,
    open(raw, context) {
      const parsed = schema.safeParse(raw);
      if (parsed.success) return open(parsed.data, context);
      const problems = parsed.error.issues.map((issue) => `${['evaluators', context.instance, ...issue.path.map(String)].join('.')}: ${issue.message}`);
      throw new Terminal('config', problems.join('; '));
    },
  };
}

/** Every kind of evaluator by its name in the config: one line each. */
const EVALUATORS: Readonly<Record<string, Kind>> = {
  store: kind(storeConfig, openStoreEvaluator),
  ofrep: kind(ofrepConfig, openOfrepEvaluator),
  http: kind(httpConfig, openHttpEvaluator),
  openfeature: kind(openfeatureConfig, openOpenfeatureEvaluator),
  'launchdarkly-sdk': kind(launchdarklySdkConfig, openLaunchdarklySdkEvaluator),
  'launchdarkly-rest': kind(launchdarklyRestConfig, openLaunchdarklyRestEvaluator),
  'unleash-sdk': kind(unleashSdkConfig, openUnleashSdk),
  'unleash-metrics': kind(unleashMetricsConfig, openUnleashMetrics),
};

/** Opens the evaluator that `raw` describes; `raw.kind` chooses. Throws Terminal `config` naming the field, and what the kind throws. */
export async function openEvaluator(name: string, raw: unknown, context: Omit<OpenContext, 'instance'>): Promise<Evaluator> {
  const wanted: unknown = typeof raw === 'object' && raw !== null ? Reflect.get(raw, 'kind') : undefined;
  const found = typeof wanted === 'string' && Object.hasOwn(EVALUATORS, wanted) ? EVALUATORS[wanted] : undefined;
  if (found === undefined)
    throw new Terminal(
      'config',
      `evaluators.${name}.kind is ${wanted === undefined ? 'missing' : JSON.stringify(wanted)}; expected one of ${Object.keys(EVALUATORS).join(', ')}`,
    );
  return found.open(raw, { ...context, instance: name });
}
