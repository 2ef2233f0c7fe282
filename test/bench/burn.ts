/**
 * CPU work of a known size. It is counted in turns of a loop, not in time: a loop that watches a clock would
 * shrink when it is preempted, and a request must cost the same under every scheduler.
 *
 * The loop is WebAssembly, compiled before the first request and never again: a JavaScript loop changes its
 * speed up to five times while the engine warms up (seen on an emulated CPU: 127, 71, 47 and 23 ns a turn).
 */
import { setFlagsFromString } from 'node:v8';

/*
 * (func (export "burn") (param $turns i32) (param $mixed i32) (result i32)
 *   (block (loop
 *     (br_if 1 (i32.eqz (local.get $turns)))
 *     (local.set $mixed (i32.xor (local.get $turns) (i32.mul (i32.const 0x2c1b3c6d)
 *       (i32.xor (local.get $mixed) (i32.shr_u (local.get $mixed) (i32.const 15))))))
 *     (local.set $turns (i32.sub (local.get $turns) (i32.const 1)))
 *     (br 0)))
 *   (local.get $mixed))
 */
const HEADER = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
const TYPES = [0x01, 0x07, 0x01, 0x60, 0x02, 0x7f, 0x7f, 0x01, 0x7f];
const FUNCTIONS = [0x03, 0x02, 0x01, 0x00];
const EXPORTS = [0x07, 0x08, 0x01, 0x04, 0x62, 0x75, 0x72, 0x6e, 0x00, 0x00];
const BODY = [
  ...[0x00, 0x02, 0x40, 0x03, 0x40, 0x20, 0x00, 0x45, 0x0d, 0x01],
  ...[0x20, 0x01, 0x20, 0x01, 0x41, 0x0f, 0x76, 0x73, 0x41, 0xed, 0xf8, 0xec, 0xe0, 0x02, 0x6c],
  ...[0x20, 0x00, 0x73, 0x21, 0x01, 0x20, 0x00, 0x41, 0x01, 0x6b, 0x21, 0x00, 0x0c, 0x00, 0x0b, 0x0b],
  ...[0x20, 0x01, 0x0b],
];
const CODE = [0x0a, BODY.length + 2, 0x01, BODY.length, ...BODY];

/** No baseline code that is replaced later, no compiling at the first call. */
setFlagsFromString('--no-liftoff');
setFlagsFromString('--no-wasm-lazy-compilation');

/** Node has it, its type package only names it. */
interface WasmApi {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { exports: { burn: (turns: number, mixed: number) => number } };
}
const { Module, Instance } = Reflect.get(globalThis, 'WebAssembly') as WasmApi;
const compiled = new Module(new Uint8Array([...HEADER, ...TYPES, ...FUNCTIONS, ...EXPORTS, ...CODE]));

/** Runs `turns` of an integer mix and returns its value; about 1 ns a turn on current machines. */
export const { burn } = new Instance(compiled).exports;

/** CPU per request measured at one loop size. */
export interface BurnProbe {
  turns: number;
  cpuMs: number;
}

/**
 * Loop size at which a request costs `targetMs` in all, from a probe without the loop (what HTTP itself costs)
 * and one with it. undefined: HTTP alone costs more than the target, or the probes make no sense.
 */
export const turnsFor = (targetMs: number, bare: BurnProbe, loaded: BurnProbe): number | undefined => {
  const msPerTurn = (loaded.cpuMs - bare.cpuMs) / (loaded.turns - bare.turns);
  const turns = Math.round(bare.turns + (targetMs - bare.cpuMs) / msPerTurn);
  return Number.isFinite(turns) && msPerTurn > 0 && turns > 0 ? turns : undefined;
};
