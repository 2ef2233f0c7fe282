import { nativeBpfProblem } from '../fixtures/native-bpf.ts';

/** Why no observer can be loaded into this machine's kernel; empty: one can. */
export const nativeProblem = (): string =>
  process.env.SCX_SLO_KUBE_IS_ROOT === 'false' ? 'needs root' : nativeBpfProblem();
