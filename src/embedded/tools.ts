import { accessSync, constants } from 'node:fs';
import path from 'node:path';

const VARIABLES = {
  temporal: 'TEMPORAL_CLI',
  'temporal-test-server': 'TEMPORAL_TEST_SERVER',
  prometheus: 'PROMETHEUS',
  alertmanager: 'ALERTMANAGER',
  'docker-compose': 'DOCKER_COMPOSE',
  'launchdarkly-schemas': 'LAUNCHDARKLY_SCHEMAS',
  'toxiproxy-server': 'TOXIPROXY',
} as const;

/** A program of somebody else's that set-up finds or makes. */
export type ToolName = keyof typeof VARIABLES;

const toolsDir = path.resolve(import.meta.dirname, '..', '..', '.tools');

/**
 * The path of a tool: its environment variable, else `.tools/` of the checkout, else PATH; undefined when it is in none of them.
 * Throws when the variable names something that cannot be executed: a person meant it.
 */
export function toolPath(name: ToolName): string | undefined {
  const variable = VARIABLES[name];
  const given = process.env[variable];
  if (given !== undefined && given !== '') {
    if (isExecutable(given)) return path.resolve(given);
    throw new Error(`${variable} is ${given}; expected the path of an executable ${name}. Correct it or unset it`);
  }
  const folders = [toolsDir, ...(process.env['PATH'] ?? '').split(path.delimiter).filter((folder) => folder !== '')];
  return folders.map((folder) => path.join(folder, name)).find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
