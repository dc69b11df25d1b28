// npm test: set-up, then npm run check, then vitest; arguments go to vitest and leave the check out.
// Its last line counts: "N passed, N failed, N skipped". Under CI=true a skipped test fails the run.
import fs from 'node:fs';
import path from 'node:path';
import { check } from './check.mjs';
import { runNode } from './setup/node.mjs';
import { root, underCi } from './setup/paths.mjs';
import { setup } from './setup.mjs';

const args = process.argv.slice(2);
const results = path.join(root, '.gonogo', `test-results-${process.pid}.json`);
try {
  await setup('test');
  const checked = args.length > 0 || (await check());
  fs.mkdirSync(path.dirname(results), { recursive: true });
  const vitest = path.join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const code = await runNode([vitest, 'run', '--root', root, '--reporter=default', '--reporter=json', `--outputFile.json=${results}`, ...args]);
  const counts = count();
  const skippedUnderCi = underCi && counts.skipped > 0;
  if (skippedUnderCi) console.error(`${counts.skipped} skipped under CI, where nothing may be: ${counts.skippedNames.join('; ')}`);
  if (!checked) console.error('npm run check failed; see above');
  const ok = code === 0 && checked && counts.failed === 0 && counts.passed > 0 && !skippedUnderCi;
  if (code !== 0 && counts.failed === 0) console.error(`vitest ended with ${code} though no test failed: see the errors above`);
  console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
  process.exitCode = ok ? 0 : 1;
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  fs.rmSync(results, { force: true });
}

function count() {
  if (!fs.existsSync(results)) throw new Error('vitest ended without results; see what it printed above');
  const { testResults } = JSON.parse(fs.readFileSync(results, 'utf8'));
  const tests = testResults.flatMap((file) => file.assertionResults);
  const skipped = tests.filter((test) => !['passed', 'failed'].includes(test.status));
  // A file that cannot be loaded has no tests to fail: it counts as one.
  const broken = testResults.filter((file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'));
  return {
    passed: tests.filter((test) => test.status === 'passed').length,
    failed: tests.filter((test) => test.status === 'failed').length + broken.length,
    skipped: skipped.length,
    skippedNames: skipped.map((test) => test.fullName),
  };
}
