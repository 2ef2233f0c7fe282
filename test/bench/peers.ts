/** Other schedulers to compare with: found on the host, copied to where the guest sees them. */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Peers } from './jobs.ts';

export interface GatheredPeers {
  peers: Peers;
  /** Directory of the BPF objects of the plain EDF design, below the project's. */
  edfObjects: string | undefined;
}

export interface PeerOptions {
  project: string;
  /** Binaries that the person named. */
  given: readonly string[];
  /** Also those that test/bench/peers.sh builds. */
  built: boolean;
  /** undefined: all. */
  wanted: readonly string[] | undefined;
}

const PEERS_DIR = 'build/vm/bench/peers';
/** Where `make bpf` puts the plain EDF design; the guest has it there, too. */
const EDF_DIR = 'build/bench/edf';

const isProgram = (file: string): boolean => {
  const stat = statSync(file);
  return stat.isFile() && (stat.mode & 0o111) !== 0;
};

/** Its arguments are in a file beside it, one a line, where it needs any: `scx_layered.args`. */
const argumentsOf = (file: string): string[] =>
  existsSync(`${file}.args`)
    ? readFileSync(`${file}.args`, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
    : [];

/** The directory that peers.sh prints, with one executable a peer; undefined: no such script. */
const builtDir = (project: string): string | undefined => {
  const script = join(project, 'test/bench/peers.sh');
  if (!existsSync(script)) return undefined;
  return execFileSync(script, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();
};

/** Throws when a binary that was named is not there, or peers.sh fails. */
export const gatherPeers = ({ project, given, built, wanted }: PeerOptions): GatheredPeers => {
  const peersDir = join(project, PEERS_DIR);
  rmSync(peersDir, { recursive: true, force: true });
  mkdirSync(peersDir, { recursive: true });
  const dir = built ? builtDir(project) : undefined;
  const files = [
    ...(dir === undefined
      ? []
      : readdirSync(dir)
          .map((name) => join(dir, name))
          .filter(isProgram)),
    ...given,
  ].filter((file) => wanted === undefined || wanted.includes(basename(file)));
  for (const file of files) {
    if (!existsSync(file)) throw new Error(`PEERS: there is no file ${file}`);
    cpSync(file, join(peersDir, basename(file)), { dereference: true });
  }
  const peers = files.map((file) => [
    basename(file),
    { program: join(PEERS_DIR, basename(file)), args: argumentsOf(file) },
  ]);
  const hasEdf = existsSync(join(project, EDF_DIR, 'scheduler.bpf.o'));
  return { peers: Object.fromEntries(peers), edfObjects: hasEdf ? EDF_DIR : undefined };
};
