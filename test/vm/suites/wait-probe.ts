// node wait-probe.ts SECONDS : wakes up fifty times a second and prints by how many ms the latest wake-up was late.
const PAUSE_MS = 20;
const nothing = new Int32Array(new SharedArrayBuffer(4));
const until = performance.now() + Number(process.argv[2]) * 1000;
let worstMs = 0;
while (performance.now() < until) {
  const slept = performance.now();
  Atomics.wait(nothing, 0, 0, PAUSE_MS);
  worstMs = Math.max(worstMs, performance.now() - slept - PAUSE_MS);
}
process.stdout.write(`${worstMs.toFixed(1)}\n`);
