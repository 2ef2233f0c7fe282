/** From the options to a connection with the API server. Nothing is sent yet. */
import { KubeConnection } from '../kube/connection.ts';
import { inClusterCredentials, kubeconfigCredentials } from '../kube/credentials.ts';
import { VERSION } from '../slo/version.ts';
import { type Failure, failure } from './failure.ts';
import type { KubeOptions } from './options.ts';

const noKube = (why: string, next: string): Failure =>
  failure('SLO_E_KUBE', 'cannot know how to reach the API server', why, next);

/** @returns undefined where no API server was asked for. */
export const connectKube = async (
  options: KubeOptions | undefined,
  env: NodeJS.ProcessEnv,
): Promise<KubeConnection | undefined | Failure> => {
  if (options === undefined) return undefined;
  const { kubeconfig } = options;
  try {
    const credentials =
      kubeconfig === undefined ? inClusterCredentials(env) : await kubeconfigCredentials(kubeconfig);
    if (credentials === undefined)
      return noKube('this is no pod of a cluster', 'name a file with --kubeconfig, or say --kube off');
    return new KubeConnection(credentials, { userAgent: `scx-slo-agent/${VERSION}` });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return noKube(why, 'see --kubeconfig, or say --kube off');
  }
};
