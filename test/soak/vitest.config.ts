import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

// Run by `npm run soak`; no file here is called *.test.ts, so `npm test` leaves them alone.
export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  test: {
    pool: 'forks',
    include: ['test/soak/*.soak.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    testTimeout: 60_000,
    // A line as soon as a launch is over.
    disableConsoleIntercept: true,
  },
});
