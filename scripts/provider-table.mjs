// Prints the table provider x rule from the contract suite's last runs, and keeps it in docs/providers.md.
// node scripts/run.mjs scripts/provider-table.mjs   (after: npm test -- test/providers)
import fs from 'node:fs';
import path from 'node:path';
import { TABLE_FILE, renderTable } from '../test/contracts/flag-provider/table.ts';
import { root } from './setup/paths.mjs';

const folder = path.join(root, '.gonogo', 'contract');
const files = fs.existsSync(folder) ? fs.readdirSync(folder).filter((name) => name.endsWith('.json')) : [];
if (files.length === 0) {
  console.error(`no run of the contract suite is kept in ${path.relative(root, folder)}; run "npm test -- test/providers" first`);
  process.exitCode = 1;
} else {
  const page = renderTable(files.map((name) => JSON.parse(fs.readFileSync(path.join(folder, name), 'utf8'))));
  fs.writeFileSync(path.join(root, TABLE_FILE), page);
  console.log(page);
}
