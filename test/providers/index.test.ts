import { describe, expect, it } from 'vitest';
import { openProvider } from '../../src/providers/index.ts';
import { openContext } from '../flags/support.ts';

describe('opening a provider', () => {
  it.each<[unknown, string]>([
    [{ kind: 'launchpad' }, 'providers.prod.kind is "launchpad"; expected one of builtin'],
    [{ kind: 'constructor' }, 'providers.prod.kind is "constructor"; expected one of builtin'],
    [{}, 'providers.prod.kind is missing'],
    [undefined, 'providers.prod.kind is missing'],
    [{ kind: 'builtin', databse: 'x' }, 'providers.prod: Unrecognized key: "databse"'],
    [{ kind: 'builtin', database: 7 }, 'providers.prod.database: Invalid input'],
    [{ kind: 'builtin' }, 'providers.prod: database is missing; expected a reference'],
  ])('refuses %j, naming the field', async (raw, message) => {
    await expect(Promise.resolve().then(() => openProvider('prod', raw, openContext()))).rejects.toMatchObject({
      name: 'Terminal',
      code: 'config',
      message: expect.stringContaining(message) as string,
    });
  });
});
