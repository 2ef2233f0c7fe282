/** Those that the options ask for. */
import type { Logger } from 'pino';
import { type ApiFailure, apiFailureText } from '../../kube/api-failure.ts';
import type { KubeConnection } from '../../kube/connection.ts';
import { EventRecorder } from '../../kube/event-recorder.ts';
import type { AgentOptions } from '../options.ts';
import { FeatureFile } from './feature-file.ts';
import { KubeEvents } from './kube-events.ts';
import { NodeConditionReporter } from './node-condition.ts';
import type { Reporter } from './reporter.ts';

const CONTROLLER = 'scx-slo.io/agent';

export const reportersOf = (
  { kube, nodeName, featureDir }: Pick<AgentOptions, 'kube' | 'nodeName' | 'featureDir'>,
  connection: KubeConnection | undefined,
  log: Pick<Logger, 'warn' | 'info'>,
): Reporter[] => {
  const teller =
    (what: string) =>
    (problem: string | undefined): void => {
      if (problem === undefined) log.info(`${what} again`);
      else log.warn(`${what} no more: ${problem}`);
    };
  const ofApi = (what: string) => (failure: ApiFailure | undefined) =>
    teller(what)(failure === undefined ? undefined : apiFailureText(failure));
  const reporters: Reporter[] = [];
  if (featureDir !== undefined) reporters.push(new FeatureFile(featureDir, teller('labels can be written')));
  if (connection === undefined) return reporters;
  const reporter = { controller: CONTROLLER, instance: nodeName };
  const recorder = new EventRecorder({ connection, reporter, onFailure: ofApi('Events can be sent') });
  reporters.push(new KubeEvents(recorder, nodeName));
  if (kube?.nodeCondition === true) {
    const onFailure = ofApi("the Node's condition can be set");
    reporters.push(new NodeConditionReporter({ connection, nodeName, onFailure }));
  }
  return reporters;
};
