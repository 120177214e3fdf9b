/** Who is signed in. */

import { ApiError, get, onSessionEnded, post } from "../api/http";
import type { Role, SessionView } from "../api/schema";
import { covers } from "../logic/roles";

type Standing = "asking" | "out" | "in" | "away";

let standing = $state<Standing>("asking");
let view = $state.raw<SessionView | null>(null);
/** Whether a session was open here and ended: the sign-in says so. */
let ended = $state(false);

export const session = {
  get standing(): Standing {
    return standing;
  },
  get view(): SessionView | null {
    return view;
  },
  get ended(): boolean {
    return ended;
  },
  /** Tells whether the signed-in person may do what takes a role. */
  may(needed: Role): boolean {
    return covers(view?.user.role, needed);
  },
};

onSessionEnded(() => {
  if (standing === "in") {
    ended = true;
    view = null;
    standing = "out";
  }
});

export function opened(found: SessionView): void {
  view = found;
  standing = "in";
  ended = false;
}

/** Asks who is signed in; a center that is away is asked again by whoever shows that. */
export async function resume(): Promise<void> {
  try {
    opened(await get<SessionView>("/api/session"));
  } catch (error) {
    standing = error instanceof ApiError && error.status === 401 ? "out" : "away";
  }
}

/** Looks who is signed in by now; a center that does not answer just then is no reason to show anything else. */
export function refresh(): void {
  get<SessionView>("/api/session").then(opened, () => undefined);
}

export async function signOut(): Promise<void> {
  await post("/api/logout");
  view = null;
  standing = "out";
  ended = false;
}
