import { defineConfig } from 'vitest/config';

/** Suites that kill, freeze or time whole fleets of processes: one after the other, when the rest is done, with the machine to themselves. */
const alone = [
  'test/kill/**/*.kill.test.ts',
  'test/alertmanager.test.ts',
  'test/cli/start.test.ts',
  'test/demo/**/*.test.ts',
  'test/launch/{armed,no-evidence,time-skipping,two-vendors}.test.ts',
  'test/rollback/endless.test.ts',
  'test/watch/outages.test.ts',
  'test/workflows/launch.test.ts',
];

export default defineConfig({
  test: {
    pool: 'forks',
    testTimeout: 30_000,
    hookTimeout: 60_000,
    globalSetup: ['test/support/global-setup.ts'],
    projects: [
      { extends: true, test: { name: 'together', include: ['test/**/*.test.ts'], exclude: alone, maxWorkers: 2, sequence: { groupOrder: 0 } } },
      { extends: true, test: { name: 'alone', include: alone, maxWorkers: 1, sequence: { groupOrder: 1 } } },
    ],
  },
});
