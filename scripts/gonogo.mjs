#!/usr/bin/env node
// The command line under a Node new enough; its exit code is passed through.
import path from 'node:path';
import { runNode } from './setup/node.mjs';
import { root } from './setup/paths.mjs';

try {
  process.exitCode = await runNode([path.join(root, 'src', 'cli', 'main.ts'), ...process.argv.slice(2)]);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
