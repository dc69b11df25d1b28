// Runs a TypeScript file under a Node that can: node scripts/run.mjs [--setup] file.ts args...
// With --setup everything it needs is installed first; the part is the file's top folder (demo, bench, soak).
import path from 'node:path';
import { runNode } from './setup/node.mjs';
import { root } from './setup/paths.mjs';
import { setup } from './setup.mjs';

const args = process.argv.slice(2);
const wantsSetup = args[0] === '--setup';
if (wantsSetup) args.shift();
const [file, ...rest] = args;
try {
  if (file === undefined) throw new Error('no file given; expected node scripts/run.mjs [--setup] file.ts args...');
  if (wantsSetup) await setup(['bench', 'soak'].find((part) => file.startsWith(`${part}/`)) ?? 'demo');
  process.exitCode = await runNode([path.resolve(root, file), ...rest]);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
