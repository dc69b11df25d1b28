import { z } from 'zod';
import { prometheusConfig } from './prometheus/config.ts';
import { openPrometheus } from './prometheus/index.ts';
import { probeConfig } from './probe/config.ts';
import { openProbe } from './probe/index.ts';
import type { MetricSource } from './source.ts';
import { sqlConfig } from './sql/config.ts';
import { openSql } from './sql/index.ts';
import { webConfig } from './web/config.ts';
import { openWeb } from './web/index.ts';

/** One source of the config, by its `kind`. To add a kind: its folder, its schema here, its line in `openSource`. */
export const sourceConfig = z.discriminatedUnion('kind', [prometheusConfig, webConfig, sqlConfig, probeConfig]);

export type SourceConfig = z.infer<typeof sourceConfig>;

/** Opens a source under the name that plans use. Secrets in `config` are already resolved. Connects to nothing yet. */
export function openSource(name: string, config: SourceConfig): MetricSource {
  switch (config.kind) {
    case 'prometheus':
      return openPrometheus(name, config);
    case 'web':
      return openWeb(name, config);
    case 'sql':
      return openSql(name, config);
    case 'probe':
      return openProbe(name, config);
    default:
      return config satisfies never;
  }
}
