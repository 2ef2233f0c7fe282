/** From a request body to an answer: the whole webhook without the network. */
import {
  type AdmissionRequest,
  type AdmissionReviewResponse,
  admissionResponse,
  parseAdmissionReview,
} from './admission-review.ts';
import { type Decision, type Mutation, mutate } from './mutate.ts';
import { selfCheck } from './self-check.ts';

export interface Admitted {
  status: 200;
  /** `failed`: a bug of ours, the pod is admitted as it came. */
  decision: Decision | 'failed';
  review: AdmissionReviewResponse;
  /** For the log: where it came from and what was decided, nothing of the object's content. */
  summary: { uid: string; namespace: string; operation: string; ops: number; fault?: string };
}

export interface Refused {
  status: 400;
  decision: 'refused';
  message: string;
}

export type Decide = (request: AdmissionRequest) => Mutation;

/**
 * Never throws and never blocks a pod.
 *
 * @param decide what holds in this cluster; the default knows no namespaces
 */
export function admit(body: unknown, decide: Decide = (request) => mutate(request)): Admitted | Refused {
  const request = parseAdmissionReview(body);
  if (typeof request === 'string') {
    return { status: 400, decision: 'refused', message: request };
  }
  const { decision, ops, warnings, fault } = decideChecked(request, decide);
  return {
    status: 200,
    decision,
    review: admissionResponse(request.uid, decision, ops, warnings),
    summary: {
      uid: request.uid,
      namespace: request.namespace ?? '',
      operation: request.operation,
      ops: ops.length,
      ...(fault === undefined ? {} : { fault }),
    },
  };
}

function decideChecked(
  request: AdmissionRequest,
  decide: Decide,
): Omit<Mutation, 'decision'> & { decision: Decision | 'failed'; fault?: string } {
  let fault: string | undefined;
  try {
    const mutation = decide(request);
    fault = mutation.ops.length === 0 ? undefined : selfCheck(request, mutation.ops, decide);
    if (fault === undefined) {
      return mutation;
    }
  } catch (error) {
    fault = `the decision failed (${error instanceof Error ? error.constructor.name : typeof error})`;
  }
  const warning = `scx-slo: internal fault, the pod is admitted without its SLO record: ${fault}`;
  return { decision: 'failed', ops: [], warnings: [warning], fault };
}
