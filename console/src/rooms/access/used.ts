/** Milliseconds between two looks at when sessions and tokens were used: no event tells, and the center notes it once a minute. */
export const USED_MS = 30_000;
