/** The import rules of the house: who may know whom. `import type` from elsewhere is allowed where it says so. */
const room = (path) => `^${path}`;
const only = (name, from, allowed, extra = {}) => ({
  name,
  severity: 'error',
  comment: `${from} may import only: ${allowed.join(', ')}`,
  from: { path: from },
  to: { path: '^(src|workflows|activities|test|demo|bench)', pathNot: allowed.map(room), ...extra },
});

module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } } },
    only('core-knows-core', '^src/core/', ['src/core/']),
    { name: 'core-has-no-packages', severity: 'error', from: { path: '^src/core/' }, to: { dependencyTypes: ['npm', 'core'] } },
    only('plan-knows-core', '^src/plan/', ['src/plan/', 'src/core/', 'src/flags/(registry|naming)'], { dependencyTypesNot: ['type-only'] }),
    only('workflows-know-core', '^workflows/', ['workflows/', 'src/core/'], { dependencyTypesNot: ['type-only'] }),
    {
      name: 'workflows-run-in-the-sandbox',
      severity: 'error',
      from: { path: '^workflows/' },
      to: { dependencyTypes: ['npm', 'core'], pathNot: ['@temporalio/(workflow|common)'], dependencyTypesNot: ['type-only'] },
    },
    only(
      'activities-are-thin',
      '^activities/',
      [
        'activities/',
        'src/core/',
        'src/store/',
        'src/rollback/',
        'src/watch/',
        'src/launch/',
        'src/providers/(provider|index)',
        'src/evaluators/(evaluator|index)',
        'src/sources/(source|index)',
        'src/notifiers/(notifier|index)',
        'workflows/messages.ts',
      ],
      { dependencyTypesNot: ['type-only'] },
    ),
    only('rollback-knows-the-contracts', '^src/(rollback|watch)/', [
      'src/rollback/',
      'src/watch/',
      'src/core/',
      'src/store/',
      'src/house.ts',
      'src/providers/provider.ts',
      'src/evaluators/evaluator.ts',
      'src/sources/source.ts',
      'src/notifiers/notifier.ts',
    ]),
    only('a-provider-knows-its-own-folder', '^src/providers/[^/]+/', [
      'src/providers/provider.ts',
      'src/providers/([^/]+)/',
      'src/core/',
      'src/http.ts',
      'src/flags/',
    ]),
    only('an-evaluator-knows-its-own-folder', '^src/evaluators/[^/]+/', [
      'src/evaluators/',
      'src/providers/provider.ts',
      'src/core/',
      'src/http.ts',
      'src/flags/',
    ]),
    only('a-source-knows-its-own-folder', '^src/sources/[^/]+/', ['src/sources/', 'src/providers/provider.ts', 'src/core/', 'src/http.ts']),
    only('a-notifier-knows-its-own-folder', '^src/notifiers/[^/]+/', ['src/notifiers/', 'src/core/', 'src/http.ts']),
    {
      name: 'server-and-cli-never-a-provider',
      severity: 'error',
      from: { path: '^src/(server|cli)/' },
      to: { path: '^src/(providers|evaluators|sources|notifiers|rollback|watch)/', dependencyTypesNot: ['type-only'], pathNot: ['^src/providers/provider.ts'] },
    },
    {
      name: 'only-starters-know-the-embedded-servers',
      severity: 'error',
      from: { path: '^(src|workflows|activities)/', pathNot: '^src/(cli|embedded)/' },
      to: { path: '^src/embedded/' },
    },
    { name: 'tests-stay-outside', severity: 'error', from: { path: '^(src|workflows|activities)/' }, to: { path: '^(test|demo|bench)/' } },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { extensions: ['.ts', '.mjs', '.js', '.json'] },
  },
};
