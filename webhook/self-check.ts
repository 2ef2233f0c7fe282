/**
 * The last look at a patch before it leaves: does it apply, does it touch only what we may touch, and is the
 * result one that we would leave as it is? A fault here is a bug of ours, and must never become a broken pod.
 */
import { isDeepStrictEqual } from 'node:util';
import type { AdmissionRequest } from './admission-review.ts';
import type { Mutation } from './mutate.ts';
import { applyPatch, type PatchOp } from './patch.ts';
import { objectOf } from './pod-view.ts';
import { SIDECAR_FIELDS, SIDECAR_NAME, SIDECAR_SECURITY } from './sidecar.ts';

/** Nothing that grants rights (securityContext, volumes, serviceAccountName ...) can match. */
const METADATA_PATHS = [
  /^\/metadata\/annotations$/,
  /^\/metadata\/annotations\/effective(-[a-z-]+)?\.scx-slo\.io~1[^/]*$/,
];
const ENVIRONMENT_PATH = /^\/spec\/(containers|initContainers)\/[0-9]+\/env(\/-)?$/;
const CONTAINER_PATH = /^\/spec\/(containers\/-|initContainers(\/0)?)$/;

/** @returns what is wrong, or undefined */
export function selfCheck(
  request: AdmissionRequest,
  ops: readonly PatchOp[],
  mutate: (request: AdmissionRequest) => Mutation,
): string | undefined {
  if (!ops.every((op) => isAllowed(op, request.operation))) {
    return 'the patch leaves the allowed paths';
  }
  try {
    const object = applyPatch(request.object, ops);
    return mutate({ ...request, object }).ops.length === 0 ? undefined : 'the patch is not idempotent';
  } catch (error) {
    // Not the message: it may quote the object.
    return `the patch does not apply (${error instanceof Error ? error.constructor.name : typeof error})`;
  }
}

function isAllowed(op: PatchOp, operation: string): boolean {
  if (METADATA_PATHS.some((path) => path.test(op.path))) {
    return true;
  }
  if (operation !== 'CREATE' || op.op !== 'add') {
    return false;
  }
  return (
    ENVIRONMENT_PATH.test(op.path) ||
    (CONTAINER_PATH.test(op.path) && isSidecar(Array.isArray(op.value) ? op.value : [op.value]))
  );
}

function isSidecar(containers: readonly unknown[]): boolean {
  const container = objectOf(containers[0]);
  const { runAsUser: _, ...security } = objectOf(container?.securityContext) ?? {};
  return (
    containers.length === 1 &&
    container?.name === SIDECAR_NAME &&
    Object.keys(container).every((key) => SIDECAR_FIELDS.has(key)) &&
    isDeepStrictEqual(security, SIDECAR_SECURITY)
  );
}
