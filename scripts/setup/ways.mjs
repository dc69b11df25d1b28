// The ways by which a tool can be had. Each fills the empty folder `dir` with bin/<name>, or throws why it cannot.
import fs from 'node:fs';
import { totalmem } from 'node:os';
import path from 'node:path';
import { need, onPath, run } from './command.mjs';

const DOWNLOAD = ['--fail', '--silent', '--show-error', '--location', '--connect-timeout', '5', '--max-time', '300'];
export const os = process.platform === 'darwin' ? 'darwin' : 'linux';
export const arch = process.arch === 'arm64' ? 'arm64' : 'amd64';

/** Downloads an archive and puts the file called `name` in it at bin/`name`. `url` may be a function that finds it out. */
export function download(name, url) {
  return {
    title: 'download',
    async fill(dir) {
      const curl = need('curl');
      const from = typeof url === 'function' ? await url() : url;
      const archive = path.join(dir, 'archive');
      const unpacked = path.join(dir, 'unpacked');
      await run(curl, [...DOWNLOAD, '--output', archive, from]);
      fs.mkdirSync(unpacked);
      await run(need('tar'), ['-xf', archive, '-C', unpacked]);
      fs.rmSync(archive);
      const found = find(unpacked, name);
      if (found === undefined) throw new Error(`no file called ${name} in ${from}`);
      fs.mkdirSync(path.join(dir, 'bin'));
      fs.renameSync(found, path.join(dir, 'bin', name));
      fs.chmodSync(path.join(dir, 'bin', name), 0o755);
      fs.rmSync(unpacked, { recursive: true });
    },
  };
}

/** The archive's address as Temporal's download service tells it: the same that the SDKs ask. */
export async function temporalArchive(artifact, version) {
  const query = `platform=${os}&arch=${arch}&format=tar.gz`;
  const answer = await run(need('curl'), [...DOWNLOAD, `https://temporal.download/${artifact}/${version}?${query}`]);
  const { archiveUrl } = JSON.parse(answer);
  if (typeof archiveUrl !== 'string') throw new Error(`temporal.download named no archive for ${artifact} ${version}`);
  return archiveUrl;
}

/** Builds a Go program from source, without C. */
export function goInstall(name, module, version) {
  return {
    title: 'go install',
    async fill(dir) {
      // Collecting garbage less often takes a sixth off the build, where there is memory for it.
      const roomy = totalmem() > 8 * 2 ** 30 ? { GOGC: '400' } : {};
      const env = { CGO_ENABLED: '0', GOBIN: path.join(dir, 'bin'), ...roomy };
      await run(need('go'), ['install', '-trimpath', '-ldflags=-s -w', `${module}@${version}`], { cwd: dir, env });
      // Go names a program for its folder, which may be as plain as "server".
      const made = path.join(dir, 'bin', path.posix.basename(module));
      if (!fs.existsSync(made)) throw new Error(`go install made no ${path.basename(made)}`);
      fs.renameSync(made, path.join(dir, 'bin', name));
    },
  };
}

/** Fetches Java packages with Maven, and writes a starter for `main`. */
export function maven(name, main, artifacts) {
  return {
    title: 'maven',
    async fill(dir) {
      await run(need('java'), ['-version']);
      const dependencies = artifacts.map(
        ([group, artifact, version]) => `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`,
      );
      fs.writeFileSync(
        path.join(dir, 'pom.xml'),
        `<project><modelVersion>4.0.0</modelVersion><groupId>gonogo</groupId><artifactId>${name}</artifactId>` +
          `<version>1</version><packaging>pom</packaging><dependencies>${dependencies.join('')}</dependencies></project>\n`,
      );
      await run(need('mvn'), ['-q', '-B', 'dependency:copy-dependencies', '-DincludeScope=runtime', '-DoutputDirectory=jars'], { cwd: dir });
      // It must exec: the SDK ends the server by the id of the process that it started.
      script(dir, name, `exec java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xmx512m -cp "$here/../jars/*" ${main} "$@"`);
    },
  };
}

/** Unpacks one Debian package; no root needed. */
export function debian(name, packageName, file) {
  return {
    title: 'debian package',
    async fill(dir) {
      await unpackDebian(dir, async () => [packageName]);
      fs.mkdirSync(path.join(dir, 'bin'));
      fs.renameSync(path.join(dir, 'deb', file), path.join(dir, 'bin', name));
      fs.rmSync(path.join(dir, 'deb'), { recursive: true });
    },
  };
}

/** Unpacks Debian's docker-compose with those Python packages that this machine lacks; no root and no daemon needed. */
export function debianCompose() {
  return {
    title: 'debian packages',
    async fill(dir) {
      if (!fs.existsSync('/usr/bin/python3')) throw new Error('/usr/bin/python3 is missing');
      await unpackDebian(dir, async (options) => {
        const plan = await run(need('apt-get'), [...options, '--simulate', '--no-install-recommends', 'install', 'docker-compose']);
        return [...plan.matchAll(/^Inst (\S+)/gm)].map((match) => match[1]);
      });
      script(
        dir,
        'docker-compose',
        'export PYTHONPATH="$here/../deb/usr/lib/python3/dist-packages"\nexec /usr/bin/python3 "$here/../deb/usr/bin/docker-compose" "$@"',
      );
      await run(path.join(dir, 'bin', 'docker-compose'), ['version']);
    },
  };
}

/** Fetches a Python package into a folder of its own, and writes down the JSON schemas of its models; the program prints them. */
export function pythonSchemas(name, packageName, module, models) {
  return {
    title: 'pip',
    async fill(dir) {
      const python = need('python3');
      const packages = path.join(dir, 'packages');
      await run(
        python,
        ['-m', 'pip', 'install', '--quiet', '--no-input', '--disable-pip-version-check', '--no-warn-script-location', '--target', packages, packageName],
        { cwd: dir },
      );
      const print =
        'import json, sys; from pydantic.json_schema import models_json_schema; import importlib; ' +
        `source = importlib.import_module(${JSON.stringify(module)}); ` +
        `models = [(getattr(source, name), "validation") for name in ${JSON.stringify(models)}]; ` +
        'json.dump(models_json_schema(models, by_alias=True)[1], open("schemas.json", "w"))';
      await run(python, ['-c', print], { cwd: dir, env: { PYTHONPATH: packages, PYTHONDONTWRITEBYTECODE: '1' } });
      fs.rmSync(packages, { recursive: true });
      script(dir, name, 'exec cat "$here/../schemas.json"');
    },
  };
}

/** The compose plug-in of the docker on PATH. */
export function dockerPlugin() {
  return {
    title: 'docker compose',
    async fill(dir) {
      const docker = need('docker');
      await run(docker, ['compose', 'version']);
      script(dir, 'docker-compose', `exec '${docker}' compose "$@"`);
    },
  };
}

async function unpackDebian(dir, names) {
  if (onPath('apt-get') === undefined) throw new Error('apt-get is not on PATH');
  const dpkg = need('dpkg');
  const download = async (options) => {
    const packages = await names(options);
    if (packages.length === 0) throw new Error('apt-get names nothing to fetch');
    await run('apt-get', [...options, 'download', ...packages], { cwd: dir });
  };
  // As root, apt would drop to the user _apt, who may not write here.
  const options = ['-q', '-o', 'APT::Sandbox::User=root'];
  try {
    await download(options);
  } catch {
    // No package lists, or old ones: fresh ones in a folder of our own, which needs no root and leaves the system's alone.
    const lists = path.join(dir, 'apt');
    fs.mkdirSync(path.join(lists, 'lists', 'partial'), { recursive: true });
    fs.mkdirSync(path.join(lists, 'cache', 'archives', 'partial'), { recursive: true });
    const own = [...options, '-o', `Dir::State::Lists=${lists}/lists`, '-o', `Dir::Cache=${lists}/cache`];
    await run('apt-get', [...own, 'update']);
    await download(own);
    fs.rmSync(lists, { recursive: true });
  }
  for (const deb of fs.readdirSync(dir).filter((file) => file.endsWith('.deb'))) {
    await run(dpkg, ['-x', deb, 'deb'], { cwd: dir });
    fs.rmSync(path.join(dir, deb));
  }
}

function script(dir, name, body) {
  fs.mkdirSync(path.join(dir, 'bin'), { recursive: true });
  const file = path.join(dir, 'bin', name);
  fs.writeFileSync(file, `#!/bin/sh\nhere=$(dirname "$(readlink -f "$0")")\n${body}\n`);
  fs.chmodSync(file, 0o755);
}

function find(dir, name) {
  for (const entry of fs.readdirSync(dir, { withFileTypes: true, recursive: true })) {
    if (entry.isFile() && (entry.name === name || entry.name === `${name}.exe`)) return path.join(entry.parentPath ?? entry.path, entry.name);
  }
  return undefined;
}
