import { readFileSync } from 'node:fs';
import path from 'node:path';

/** A reference, or what is wrong with it: never the text itself. */
export type Looked = { readonly ok: true; readonly value: string } | { readonly ok: false; readonly why: string; readonly hint: string };

const VARIABLE = /^\$\{([A-Z_][A-Z0-9_]*)\}$/;

/** Whether the text is `${ENV_NAME}` or `file:path`, whole. */
export function isReference(text: string): boolean {
  return VARIABLE.test(text) || text.startsWith('file:');
}

/** Reads what a reference stands for; a file's last line feed is not part of it. Relative files are looked for beside the config. */
export function lookUp(reference: string, env: Readonly<Record<string, string | undefined>>, folder: string): Looked {
  const name = VARIABLE.exec(reference)?.[1];
  if (name !== undefined) {
    const value = env[name];
    if (value === undefined || value === '')
      return { ok: false, why: `refers to the environment variable ${name}, which is not set`, hint: `set ${name}, or refer to a file: file:/path` };
    return { ok: true, value };
  }
  const file = path.resolve(folder, reference.slice('file:'.length));
  try {
    const value = readFileSync(file, 'utf8').replace(/\r?\n$/, '');
    return value === '' ? { ok: false, why: `refers to the file ${file}, which is empty`, hint: 'write the secret into it' } : { ok: true, value };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    return { ok: false, why: `refers to the file ${file}, which cannot be read (${code})`, hint: 'make it, readable for this user, or correct the path' };
  }
}
