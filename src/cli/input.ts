import { readFileSync } from 'node:fs';
import { usage } from './exit.ts';

/** The registry that is read when none is named. */
export const REGISTRY = 'plans/flags.yaml';
/** Where `gonogo start` keeps its data. */
export const DATA_DIR = '.gonogo';

/** A file of text for a command; `-` is stdin. Throws Exit. */
export function textOf(file: string, what: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    throw usage(`${file} cannot be read (${code}); expected ${what}`);
  }
}
