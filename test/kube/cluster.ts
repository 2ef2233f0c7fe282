/** The one control plane that all suites share: started by the first, stopped with the process. */
import { join } from 'node:path';
import { ControlPlane } from './control-plane.ts';
import { HOST_IN_GUEST } from './credentials.ts';
import { type Kubectl, kubectlWith } from './kubectl.ts';
import { programsIn } from './programs.ts';

export interface Cluster {
  plane: ControlPlane;
  /** As the cluster's administrator. */
  kubectl: Kubectl;
  /** Where programs write what they say. */
  logDir: string;
  /** For files of the suites; gone after the run. */
  dir: string;
}

let starting: Promise<Cluster> | undefined;

export function cluster(): Promise<Cluster> {
  starting ??= start();
  return starting;
}

async function start(): Promise<Cluster> {
  const [dir, logDir] = [given('DIR'), given('LOGS')];
  const plane = await ControlPlane.start({
    programs: programsIn(given('PROGRAMS')),
    dir: join(dir, 'control-plane'),
    logDir,
    apiAddresses: [HOST_IN_GUEST],
    apiServerFlags: [`--audit-log-path=${join(logDir, 'audit.log')}`, `--audit-policy-file=${AUDIT_POLICY}`],
  });
  return { plane, logDir, dir, kubectl: kubectlWith(given('KUBECTL'), plane.credentials.kubeconfigs.admin) };
}

function given(name: string): string {
  const value = process.env[`SCX_SLO_KUBE_${name}`];
  if (value === undefined) throw new Error('start these suites with make test-kube');
  return value;
}

/** Who did what to which object, without their content. */
const AUDIT_POLICY = join(import.meta.dirname, 'audit-policy.yaml');
