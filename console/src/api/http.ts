/** Requests to the center. The session is a cookie that no script sees. */

import { oneLine } from "../logic/text";

const LONGEST_SENTENCE = 2_000;

export type Problem = { status: number; code: string; detail: string; fields: Record<string, unknown> };

/** What the center answered in place of what was asked for. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly fields: Record<string, unknown>;

  constructor(problem: Problem) {
    super(problem.detail);
    this.name = "ApiError";
    this.status = problem.status;
    this.code = problem.code;
    this.fields = problem.fields;
  }
}

type Asked = { body?: unknown; query?: Query; signal?: AbortSignal | undefined; key?: string };
export type Query = Record<string, string | number | boolean | null | undefined>;

let sessionEnded: () => void = () => undefined;

/** Names what is to be done when the center no longer knows the session. */
export function onSessionEnded(act: () => void): void {
  sessionEnded = act;
}

export function address(path: string, query: Query = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const said = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return said ? `${path}?${said}` : path;
}

async function ask<T>(method: string, path: string, asked: Asked): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (asked.body !== undefined) headers["Content-Type"] = "application/json";
  if (asked.key !== undefined) headers["Idempotency-Key"] = asked.key;
  let answer: Response;
  try {
    answer = await fetch(address(path, asked.query), {
      method,
      headers,
      credentials: "same-origin",
      ...(asked.body === undefined ? {} : { body: JSON.stringify(asked.body) }),
      ...(asked.signal ? { signal: asked.signal } : {}),
    });
  } catch (error) {
    if (asked.signal?.aborted) throw error;
    throw new ApiError({
      status: 0,
      code: "center_away",
      detail: "The center can't be reached. Check your connection; the page goes on by itself.",
      fields: {},
    });
  }
  if (!answer.ok) throw await refusal(answer, path);
  return (await answer.json()) as T;
}

/** Reads the problem in an answer; tells when it is that the session has ended. */
export async function refusal(answer: Response, path: string): Promise<ApiError> {
  const said: unknown = await answer.json().catch(() => null);
  const problem = isProblem(said)
    ? said
    : { status: answer.status, code: "unexpected", detail: `The center answered ${answer.status}.`, fields: {} };
  if (answer.status === 401 && !path.startsWith("/api/browser/") && path !== "/api/password") sessionEnded();
  return new ApiError({ ...problem, status: answer.status, fields: problem.fields ?? {} });
}

function isProblem(said: unknown): said is Problem {
  return typeof said === "object" && said !== null && "code" in said && "detail" in said;
}

export const get = <T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> =>
  ask<T>("GET", path, { query, signal });
export const post = <T>(path: string, body?: unknown, key?: string): Promise<T> =>
  ask<T>("POST", path, { ...(body === undefined ? {} : { body }), ...(key === undefined ? {} : { key }) });
export const put = <T>(path: string, body: unknown): Promise<T> => ask<T>("PUT", path, { body });
export const patch = <T>(path: string, body: unknown): Promise<T> => ask<T>("PATCH", path, { body });
export const remove = <T>(path: string, body?: unknown, signal?: AbortSignal): Promise<T> =>
  ask<T>("DELETE", path, { signal, ...(body === undefined ? {} : { body }) });

/** Says in a sentence what went wrong. Why something failed may be told in the words of a host. */
export function sentence(error: unknown): string {
  return oneLine(error instanceof Error ? error.message : String(error)).slice(0, LONGEST_SENTENCE);
}
