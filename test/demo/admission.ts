/** Puts the demo's manifests through the real webhook, as `kubectl apply` would. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Pod, podsOf } from './pod.ts';
import { startWebhook } from './webhook-call.ts';

export interface AdmissionOptions {
  project: string;
  /** Where the bundled webhook is. */
  dist: string;
  logDir: string;
  say: (text: string) => void;
}

/** Every pod of manifests/demo, by name, as the webhook changed it; tells what it said. */
export const admitAll = async ({
  project,
  dist,
  logDir,
  say,
}: AdmissionOptions): Promise<Map<string, Pod>> => {
  const webhook = await startWebhook(join(dist, 'webhook.mjs'), logDir);
  say('webhook: serving over TLS 1.3, its certificate signed by a CA of this run');
  const dir = join(project, 'manifests/demo');
  const pods = readdirSync(dir).flatMap((file) => podsOf(readFileSync(join(dir, file), 'utf8')));
  const admitted = new Map<string, Pod>();
  for (const pod of pods) {
    const { pod: result, operations, warnings, milliseconds } = await webhook.admit(pod);
    const record = Object.entries(result.metadata.annotations ?? {}).filter(([key]) =>
      key.startsWith('effective.'),
    );
    const told = record
      .map(([key, value]) => `${key.slice('effective.scx-slo.io/'.length)}=${value}`)
      .join(' ');
    const { namespace, name } = pod.metadata;
    say(
      `admitted ${namespace}/${name} in ${milliseconds.toFixed(0)} ms: ${operations > 0 ? `${operations} patch operations, ${told}` : 'nothing to do'}`,
    );
    for (const warning of warnings) say(`  warning: ${warning}`);
    admitted.set(name, result);
  }
  await webhook.stop();
  return admitted;
};
