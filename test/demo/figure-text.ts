/** Figures as the checks and targets print them. */

/** 0.1234 -> `12.3 %` */
export const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

export const ms = (value: number): string => `${value.toFixed(1)} ms`;
