import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isFailure } from './failure.ts';
import { helpText, parseOptions } from './options.ts';

const options = (argv: string[], env: NodeJS.ProcessEnv = {}) => {
  const command = parseOptions(argv, env);
  if (isFailure(command) || command.kind !== 'run') throw new Error(`not run: ${JSON.stringify(command)}`);
  return command.options;
};

describe('parseOptions', () => {
  it('observes by default and listens where the architecture says', () => {
    expect(options([])).toMatchObject({
      mode: 'observe',
      metricsAddress: { host: '0.0.0.0', port: 9090 },
      localAddress: { host: '127.0.0.1', port: 7090 },
      signalAddress: { host: '0.0.0.0', port: 7080 },
      config: undefined,
      shedDryRun: false,
      allowAttachHang: false,
      stateDir: '/var/lib/scx-slo',
      watchdogMs: 30_000,
      logLevel: 'info',
    });
  });

  it('takes flags before the environment, and both before defaults', () => {
    const env = { SCX_SLO_MODE: 'advisory', SCX_SLO_PODS_DIR: '/pods', SCX_SLO_ALLOW_ATTACH_HANG: 'true' };
    expect(options(['--mode=enforce', '--node-name', 'n1'], env)).toMatchObject({
      mode: 'enforce',
      podsDir: '/pods',
      shedDryRun: false,
      allowAttachHang: true,
      nodeName: 'n1',
    });
    expect(options(['--signal-address', 'off', '--metrics-address', '[::1]:0'])).toMatchObject({
      signalAddress: undefined,
      metricsAddress: { host: '::1', port: 0 },
    });
    expect(options(['--state-dir', 'off', '--watchdog-ms', '1000'])).toMatchObject({
      stateDir: undefined,
      watchdogMs: 1_000,
    });
  });

  it('asks an API server in a pod that has no other source, and where it is told to', () => {
    const inPod = { KUBERNETES_SERVICE_HOST: '10.0.0.1', NODE_NAME: 'node-7' };
    const serviceAccount = { kubeconfig: undefined, nodeCondition: false };
    expect(options([]).kube).toBeUndefined();
    expect(options([], inPod)).toMatchObject({ kube: serviceAccount, nodeName: 'node-7' });
    expect(options(['--pods-dir', '/pods'], inPod).kube).toBeUndefined();
    expect(options(['--pods-dir', '/pods', '--kube', 'on'], inPod).kube).toEqual(serviceAccount);
    expect(options(['--kube', 'off'], inPod).kube).toBeUndefined();
    expect(options(['--kubeconfig', '/k', '--node-condition'], {}).kube).toEqual({
      kubeconfig: '/k',
      nodeCondition: true,
    });
    expect(options(['--node-name', 'n1'], inPod).nodeName).toBe('n1');
  });

  it.each([
    [['--kube', 'maybe'], '--kube'],
    [['--mode', 'turbo'], '--mode'],
    [['--mode'], 'command line'],
    [['--nonsense'], 'command line'],
    [['stray'], 'command line'],
    [['--metrics-address', '9090'], '--metrics-address'],
    [['--metrics-address', 'x:70000'], '--metrics-address'],
    [['--local-address', '0.0.0.0:7090'], '--local-address'],
    [['--log-level', 'loud'], '--log-level'],
    [['--watchdog-ms', '999'], '--watchdog-ms'],
    [['--watchdog-ms', '30001'], '--watchdog-ms'],
    [['--watchdog-ms', '2e3'], '--watchdog-ms'],
  ])('refuses %j', (argv, named) => {
    const answer = parseOptions(argv, {});
    expect(answer).toMatchObject({ code: 'SLO_E_OPTION', what: expect.stringContaining(named) });
  });

  it('refuses a bad environment too', () => {
    const answer = parseOptions([], { SCX_SLO_ALLOW_ATTACH_HANG: 'maybe' });
    expect(answer).toMatchObject({ what: 'bad SCX_SLO_ALLOW_ATTACH_HANG' });
  });

  it('shows every flag in the help', () => {
    expect(parseOptions(['--help'], {})).toEqual({ kind: 'help' });
    for (const flag of ['--mode', '--signal-dir', '--allow-attach-hang']) expect(helpText()).toContain(flag);
  });

  it('never throws', () => {
    void fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.string(), fc.constantFrom('--mode', '--config', '--local-address'))),
        (argv) => {
          const answer = parseOptions(argv, {});
          expect('kind' in answer || isFailure(answer)).toBe(true);
        },
      ),
    );
  });
});
