/** Something wrong in one pod, with the place in the object where it stands. */
export interface PodFault {
  code: string;
  message: string;
  /** For example `['metadata', 'annotations', 'scx-slo.io/budget-ms']`. */
  path: readonly (string | number)[];
}
