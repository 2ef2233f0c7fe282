/**
 * How Node must run where every request has to cost the same: no optimising compilers that make code faster in
 * the middle of a run, no background threads that compete with the one that is measured, and a nursery so large
 * that a run needs no garbage collection. With the engine's defaults a service that works 4 ms a request stalls
 * for 20 to 50 ms at times on an emulated CPU, which is nothing that a scheduler could answer for.
 */
export const STEADY_ENGINE = [
  '--single-threaded',
  '--no-opt',
  '--no-maglev',
  '--min-semi-space-size=128',
  '--max-semi-space-size=128',
] as const;
