import { execFileSync } from 'node:child_process';
import { copyFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { debianPrograms } from '../proxies/programs.ts';
import { recipeContract } from './recipe-contract.ts';

const BUILD_TIMEOUT_MS = 240_000;

const go = (directory: string): string[] | string => {
  const programs = debianPrograms(['golang-go']);
  if (typeof programs === 'string') return programs;
  const recipe = join(import.meta.dirname, '../../client/recipes/go');
  copyFileSync(join(import.meta.dirname, 'go/main.go'), join(directory, 'main.go'));
  writeFileSync(
    join(directory, 'go.mod'),
    `module server\n\ngo 1.19\n\nrequire scxslo v0.0.0\n\nreplace scxslo => ${recipe}\n`,
  );
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'scx-slo/go-build');
  const env = {
    PATH: process.env.PATH,
    HOME: directory,
    GOROOT: join(programs.directory, 'usr/lib/go'),
    GOCACHE: cache,
    GOPROXY: 'off',
    CGO_ENABLED: '0',
  };
  const program = join(directory, 'server');
  execFileSync(join(programs.directory, 'usr/lib/go/bin/go'), ['build', '-o', program, '.'], {
    cwd: directory,
    env,
    timeout: BUILD_TIMEOUT_MS,
  });
  return [program];
};

recipeContract({ name: 'Go', prepare: go });
