/** The programs of a control plane: from KUBEBUILDER_ASSETS, or those that control-plane.sh builds once. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Absolute paths. */
export interface Programs {
  etcd: string;
  apiServer: string;
  /** Not among the programs that KUBEBUILDER_ASSETS usually has: without them nothing makes pods of Deployments. */
  controllerManager: string | undefined;
  scheduler: string | undefined;
  kubelet: string | undefined;
  kubeProxy: string | undefined;
  /** [1, 20] of Kubernetes v1.20.2. */
  version: readonly [number, number];
}

export function programsIn(dir: string): Programs {
  const needed = (name: string): string => {
    const path = join(dir, name);
    if (!existsSync(path)) throw new Error(`there is no ${name} in ${dir}`);
    return path;
  };
  const optional = (name: string): string | undefined =>
    existsSync(join(dir, name)) ? join(dir, name) : undefined;
  const apiServer = needed('kube-apiserver');
  return {
    etcd: needed('etcd'),
    apiServer,
    controllerManager: optional('kube-controller-manager'),
    scheduler: optional('kube-scheduler'),
    kubelet: optional('kubelet'),
    kubeProxy: optional('kube-proxy'),
    version: versionOf(apiServer),
  };
}

function versionOf(apiServer: string): readonly [number, number] {
  const text = execFileSync(apiServer, ['--version'], { encoding: 'utf8' });
  const match = /v(\d+)\.(\d+)\./.exec(text);
  if (match === null) throw new Error(`${apiServer} --version says ${JSON.stringify(text)}`);
  return [Number(match[1]), Number(match[2])];
}

/** Builds what is missing, with progress on standard error. @returns the directory */
export function programsDir(): string {
  const assets = process.env.KUBEBUILDER_ASSETS;
  if (assets !== undefined && assets !== '') return assets;
  return join(printedBy(join(import.meta.dirname, 'control-plane.sh'), 'control plane'), 'bin');
}

/** @returns the path of kubectl */
export const kubectlProgram = (): string =>
  printedBy(join(import.meta.dirname, '..', '..', '.ci', 'kubectl.sh'), 'kubectl');

function printedBy(script: string, what: string): string {
  const { status, stdout } = spawnSync(script, { stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8' });
  if (status !== 0) throw new Error(`there is no ${what}; the lines above say why`);
  return stdout.trim();
}
