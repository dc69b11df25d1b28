// Where things lie: the checkout, its .tools/ folder, and the cache that all checkouts of one user share.
import os from 'node:os';
import path from 'node:path';

/** The checkout's folder. */
export const root = path.resolve(import.meta.dirname, '..', '..');

/** Links to the tools that set-up made; ignored by git. The variable is for the tests of set-up. */
export const toolsDir = path.resolve(process.env['GONOGO_TOOLS'] ?? path.join(root, '.tools'));

/** Shared by every checkout of this user, so that a second clone builds nothing again. */
export const cacheDir = path.resolve(process.env['GONOGO_CACHE'] ?? path.join(process.env['XDG_CACHE_HOME'] ?? path.join(os.homedir(), '.cache'), 'gonogo'));

/** True where nothing may be left out. */
export const underCi = ['true', '1'].includes(process.env['CI'] ?? '');
