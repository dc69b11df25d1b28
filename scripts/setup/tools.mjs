// The list of tools: what each is for, and the ways to have it, in the order they are tried.
import { arch, debian, debianCompose, dockerPlugin, download, goInstall, maven, os, pythonSchemas, temporalArchive } from './ways.mjs';

const PROMETHEUS = '2.53.4';
const ALERTMANAGER = '0.31.1';
const TEMPORAL = 'v1.5.1';
const TOXIPROXY = '2.5.0';
const release = (name, version) => `https://github.com/prometheus/${name}/releases/download/v${version}/${name}-${version}.${os}-${arch}.tar.gz`;

/** `required`: the parts that cannot do without it. `parts`: those that use it. `onPath`: whether a program of that name on PATH will do. */
export const tools = [
  {
    name: 'temporal',
    title: 'Temporal CLI',
    env: 'TEMPORAL_CLI',
    version: TEMPORAL,
    onPath: true,
    check: ['--version'],
    parts: ['demo', 'test', 'bench', 'soak'],
    required: ['demo', 'test', 'bench', 'soak'],
    ways: [download('temporal', () => temporalArchive('cli', TEMPORAL)), goInstall('temporal', 'github.com/temporalio/cli/cmd/temporal', TEMPORAL)],
    remedy: 'install the Temporal CLI (docs.temporal.io/cli) or Go 1.24 or later, or set TEMPORAL_CLI to its path',
  },
  {
    name: 'temporal-test-server',
    title: 'Time-skipping server',
    env: 'TEMPORAL_TEST_SERVER',
    version: '1.38.0',
    onPath: true,
    parts: ['test', 'bench'],
    required: [],
    ways: [
      download('temporal-test-server', () => temporalArchive('temporal-test-server', 'default')),
      maven('temporal-test-server', 'io.temporal.testserver.TestServer', [
        ['io.temporal', 'temporal-test-server', '1.38.0'],
        ['org.slf4j', 'slf4j-simple', '1.7.36'],
      ]),
    ],
    remedy: 'install java 11 or later and mvn, or set TEMPORAL_TEST_SERVER to its path',
  },
  {
    name: 'prometheus',
    title: 'Prometheus',
    env: 'PROMETHEUS',
    version: PROMETHEUS,
    onPath: true,
    check: ['--version'],
    parts: ['demo', 'test', 'bench'],
    required: [],
    ways: [download('prometheus', release('prometheus', PROMETHEUS)), debian('prometheus', 'prometheus', 'usr/bin/prometheus')],
    remedy: 'install Prometheus 2.40 or later (prometheus.io/download, or apt install prometheus), or set PROMETHEUS to its path',
  },
  {
    name: 'alertmanager',
    title: 'Alertmanager',
    env: 'ALERTMANAGER',
    version: ALERTMANAGER,
    onPath: true,
    check: ['--version'],
    parts: ['demo', 'test', 'bench'],
    required: [],
    ways: [
      download('alertmanager', release('alertmanager', ALERTMANAGER)),
      goInstall('alertmanager', 'github.com/prometheus/alertmanager/cmd/alertmanager', `v${ALERTMANAGER}`),
    ],
    remedy: 'install Alertmanager (prometheus.io/download) or Go, or set ALERTMANAGER to its path',
  },
  {
    name: 'docker-compose',
    title: 'docker-compose',
    env: 'DOCKER_COMPOSE',
    version: '1.29',
    onPath: true,
    check: ['version'],
    parts: ['test'],
    required: [],
    ways: [dockerPlugin(), debianCompose()],
    remedy: "install docker's compose plug-in, or docker-compose, or set DOCKER_COMPOSE to its path",
  },
  {
    name: 'launchdarkly-schemas',
    title: "LaunchDarkly's schemas",
    env: 'LAUNCHDARKLY_SCHEMAS',
    version: '25.0.1',
    onPath: false,
    parts: ['test', 'soak'],
    required: ['soak'],
    ways: [
      pythonSchemas('launchdarkly-schemas', 'launchdarkly-api==25.0.1', 'launchdarkly_api', [
        'FeatureFlag',
        'ProjectRep',
        'Environment',
        'AuditLogEntryListingRepCollection',
        'UserSegment',
        'UserSegments',
        'ContextInstanceEvaluations',
        'TriggerWorkflowRep',
        'TriggerWorkflowCollectionRep',
        'CallerIdentityRep',
        'ForbiddenErrorRep',
      ]),
    ],
    remedy: 'install Python 3.9 or later with pip, or set LAUNCHDARKLY_SCHEMAS to a program that prints the JSON schemas of the answers',
  },
  {
    name: 'toxiproxy-server',
    title: 'Toxiproxy',
    env: 'TOXIPROXY',
    version: TOXIPROXY,
    onPath: true,
    check: ['--version'],
    parts: ['test', 'soak'],
    required: ['soak'],
    ways: [
      download('toxiproxy-server', `https://github.com/Shopify/toxiproxy/releases/download/v${TOXIPROXY}/toxiproxy_${TOXIPROXY}_${os}_${arch}.tar.gz`),
      goInstall('toxiproxy-server', 'github.com/Shopify/toxiproxy/v2/cmd/server', `v${TOXIPROXY}`),
    ],
    remedy: 'install Toxiproxy (github.com/Shopify/toxiproxy) or Go, or set TOXIPROXY to the path of toxiproxy-server',
  },
];
