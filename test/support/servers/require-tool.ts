import { toolPath } from '../../../src/embedded/tools.ts';
import type { ToolName } from '../../../src/embedded/tools.ts';

/**
 * Whether a test's tool is there: `describe.skipIf(!hasTool('prometheus'))`. On a laptop a missing one skips with one clear line.
 * Throws under CI, where nothing is skipped.
 */
export function hasTool(name: ToolName): boolean {
  if (toolPath(name) !== undefined) return true;
  const words = `${name} is missing; expected it in .tools/ or on PATH. Run "npm run setup"`;
  if (['true', '1'].includes(process.env['CI'] ?? '')) throw new Error(words);
  console.warn(`skipped: ${words}`);
  return false;
}

/** The path of a tool that a test cannot do without; throws with the remedy when it is missing. */
export function requireTool(name: ToolName): string {
  const found = toolPath(name);
  if (found === undefined) throw new Error(`${name} is missing; expected it in .tools/ or on PATH. Run "npm run setup"`);
  return found;
}
