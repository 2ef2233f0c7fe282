/** The real kubectl, as a person runs it. */
import { spawn } from 'node:child_process';

export interface KubectlResult {
  code: number | null;
  stdout: string;
  /** Lines of standard error. */
  stderr: string[];
  /** What it printed as `Warning: ...`. */
  warnings: string[];
}

/** @param objects given on standard input, as `-f -` reads them */
export type Kubectl = (args: readonly string[], objects?: readonly unknown[]) => Promise<KubectlResult>;

const LIMIT_MS = 60_000;

export function kubectlWith(program: string, kubeconfig: string): Kubectl {
  return (args, objects) =>
    new Promise((resolve, reject) => {
      const child = spawn(program, ['--kubeconfig', kubeconfig, ...args], {
        stdio: [objects === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
        timeout: LIMIT_MS,
        // It keeps what it discovers in HOME; another server had the same address before.
        env: { PATH: process.env.PATH, HOME: '/nonexistent' },
      });
      let [stdout, stderr] = ['', ''];
      child.stdout?.on('data', (chunk: Buffer) => {
        stdout += chunk.toString();
      });
      child.stderr?.on('data', (chunk: Buffer) => {
        stderr += chunk.toString();
      });
      child.once('error', reject);
      child.once('close', (code) => {
        const lines = stderr.split('\n').filter((line) => line !== '');
        const warnings = lines
          .filter((line) => line.startsWith('Warning: '))
          .map((line) => line.slice('Warning: '.length));
        resolve({ code, stdout, stderr: lines, warnings });
      });
      if (objects !== undefined)
        child.stdin?.end(JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
    });
}
