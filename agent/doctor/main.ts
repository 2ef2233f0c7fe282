/** `scx-slo doctor`: what this node can and cannot do, and why. Works without an agent, and without root. */
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { readExits } from '../exit-store.ts';
import { isFailure } from '../failure.ts';
import { readNodeFacts } from '../kernel/node-facts.ts';
import type { Mode } from '../kernel/port.ts';
import { hostSysfs, type Sysfs } from '../kernel/sysfs.ts';
import { readHz, readTopology } from '../kernel/topology.ts';
import { askAgent } from './agent-answer.ts';
import { agentChecks, dumpOf, exitsOf } from './agent-checks.ts';
import { kernelChecks } from './kernel-checks.ts';
import { type MachineFacts, machineChecks, partChecks } from './machine-checks.ts';
import { probeParts } from './parts.ts';
import { type Diagnosis, isHealthy, jsonReport, textReport } from './report.ts';

const EXIT_FAILS = 1;
const EXIT_USAGE = 2;

const USAGE = `usage: scx-slo doctor [options]; exit code 0: nothing fails, 1: something does, 2: bad command line

  --mode MODE                observe, advisory or enforce: what to judge by (default: the agent's, else enforce)
  --local-address HOST:PORT  where the agent answers [127.0.0.1:7090]
  --state-dir DIR            where it keeps exits of the scheduler [/var/lib/scx-slo]
  --dump                     print the kernel's dump of the last exit that has one
  --json                     for machines
`;

const MODES: readonly Mode[] = ['observe', 'advisory', 'enforce'];

interface DoctorOptions {
  /** undefined: as the agent was asked. */
  mode: Mode | undefined;
  localAddress: string;
  stateDir: string;
  dump: boolean;
  json: boolean;
}

/** The agent's environment counts here, too: inside its container both see the same. */
const parseDoctorOptions = (argv: string[], env: NodeJS.ProcessEnv): DoctorOptions | 'help' | Error => {
  try {
    const { values } = parseArgs({
      args: argv,
      options: {
        mode: { type: 'string' },
        'local-address': { type: 'string', default: env.SCX_SLO_LOCAL_ADDRESS || '127.0.0.1:7090' },
        'state-dir': { type: 'string', default: env.SCX_SLO_STATE_DIR || '/var/lib/scx-slo' },
        dump: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) return 'help';
    const mode = MODES.find((known) => known === values.mode);
    if (values.mode !== undefined && mode === undefined)
      return new Error(`--mode takes ${MODES.join(', ')}, not ${JSON.stringify(values.mode)}`);
    const { dump, json } = values;
    return { mode, localAddress: values['local-address'], stateDir: values['state-dir'], dump, json };
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
};

const readMachine = (sysfs: Sysfs): MachineFacts => {
  const smt = sysfs.text('/sys/devices/system/cpu/smt/active');
  return {
    topology: readTopology(sysfs),
    hz: readHz(sysfs),
    smt: smt === undefined ? undefined : smt === '1',
    numaNodes: sysfs.list('/sys/devices/system/node').filter((name) => /^node\d+$/.test(name)).length,
  };
};

const examine = async (options: DoctorOptions): Promise<Diagnosis> => {
  const facts = readNodeFacts(hostSysfs);
  // one after the other: opening the objects holds the event loop, and the agent's answer would be late for it
  const agent = await askAgent(options.localAddress);
  const kept = await readExits(options.stateDir);
  const parts = await probeParts(facts);
  const asked = isFailure(agent) ? undefined : MODES.find((mode) => mode === agent.wantedMode);
  const wanted = options.mode ?? asked ?? 'enforce';
  const enforcing = !isFailure(agent) && agent.mode === 'enforce';
  const about = { agent, kept, schedExt: facts.schedExt, nowMs: Date.now() };
  return {
    wanted,
    checks: [
      ...kernelChecks({ facts, wanted, enforcing, agentAnswers: !isFailure(agent) }),
      ...machineChecks(readMachine(hostSysfs)),
      ...partChecks(parts),
      ...agentChecks(about),
    ],
    exits: exitsOf(about),
  };
};

/** @param argv without node and the script. @returns the exit code. */
export const main = async (argv: string[]): Promise<number> => {
  const options = parseDoctorOptions(argv, process.env);
  if (options instanceof Error) {
    process.stderr.write(`scx-slo doctor: ${options.message}\n\n${USAGE}`);
    return EXIT_USAGE;
  }
  if (options === 'help') {
    process.stdout.write(USAGE);
    return 0;
  }
  const diagnosis = await examine(options);
  const dump = options.dump ? { record: dumpOf(diagnosis.exits) } : undefined;
  process.stdout.write(options.json ? jsonReport(diagnosis) : textReport(diagnosis, dump));
  return isHealthy(diagnosis) ? 0 : EXIT_FAILS;
};

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.exitCode = await main(process.argv.slice(2));
}
