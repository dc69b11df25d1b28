#!/usr/bin/env node
// Brings everything that a demo, the tests or a bench need: node scripts/setup.mjs [--for demo|test|bench|soak|all]
import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { installDependencies } from './setup/dependencies.mjs';
import { cacheDir, toolsDir, underCi } from './setup/paths.mjs';
import { elapsed } from './setup/progress.mjs';
import { provide } from './setup/tool.mjs';
import { tools } from './setup/tools.mjs';

const PARTS = ['demo', 'test', 'bench', 'soak', 'all'];

/** Sets up for one part. Resolves to the tools found; rejects when something the part cannot do without is not to be had. */
export async function setup(part) {
  const mine = tools.filter((tool) => part === 'all' || tool.parts.includes(part));
  console.log(`Set-up for ${part} (cache: ${cacheDir})`);
  fs.mkdirSync(toolsDir, { recursive: true });
  // All at once: the Go builds use the processors while npm waits for the network.
  const [packages, ...found] = await Promise.all([installDependencies().catch((error) => error), ...mine.map((tool) => provide(tool))]);
  const have = Object.fromEntries(mine.map((tool, i) => [tool.name, found[i]]));
  writeManifest(have);
  if (packages instanceof Error) throw packages;
  const missing = mine.filter((tool) => have[tool.name].problem !== undefined && isRequired(tool, part));
  if (missing.length > 0) {
    throw new Error(`not to be had: ${missing.map((tool) => `${tool.title} (${tool.remedy})`).join('; ')}`);
  }
  console.log(`Set-up done in ${elapsed()} s`);
  return have;
}

function isRequired(tool, part) {
  if (underCi && (part === 'test' || part === 'all')) return true;
  // Who sets up everything has not asked for a soak by name.
  return part === 'all' ? tool.required.some((one) => one !== 'soak') : tool.required.includes(part);
}

function writeManifest(have) {
  const file = path.join(toolsDir, 'manifest.json');
  let before = {};
  try {
    before = JSON.parse(fs.readFileSync(file, 'utf8'));
  } catch {
    // The first set-up of this checkout, or a broken file: written anew.
  }
  const now = { ...before };
  for (const [name, result] of Object.entries(have)) {
    if (result.path === undefined) delete now[name];
    else now[name] = { path: result.path, way: result.way };
  }
  const text = `${JSON.stringify(now, null, 2)}\n`;
  const fresh = `${file}.${process.pid}`;
  fs.writeFileSync(fresh, text);
  fs.renameSync(fresh, file);
}

if (import.meta.url === pathToFileURL(fs.realpathSync(process.argv[1])).href) {
  const at = process.argv.indexOf('--for');
  const part = at === -1 ? 'all' : process.argv[at + 1];
  if (!PARTS.includes(part)) {
    console.error(`--for is ${part ?? 'missing'}; expected one of ${PARTS.join(', ')}`);
    process.exit(2);
  }
  try {
    await setup(part);
  } catch (error) {
    console.error(`Set-up failed after ${elapsed()} s: ${error.message}`);
    process.exit(1);
  }
}
