/** Addresses that can be shared: each view is one, with what is looked at in its query. */

const BASE = "/console";

export type Place = { path: string; query: URLSearchParams };

function here(): Place {
  const path = location.pathname.startsWith(BASE) ? location.pathname.slice(BASE.length) : "/";
  return { path: path === "" ? "/" : path, query: new URLSearchParams(location.search) };
}

let place = $state.raw<Place>(here());

export const router = {
  get place(): Place {
    return place;
  },
};

export function href(path: string, query: Record<string, string | undefined> = {}): string {
  const given = Object.entries(query).filter((each): each is [string, string] => Boolean(each[1]));
  const said = new URLSearchParams(given).toString();
  return BASE + path + (said ? `?${said}` : "");
}

/** Goes to an address; `replace` where the way back should lead past this one. */
export function go(path: string, query: Record<string, string | undefined> = {}, replace = false): void {
  history[replace ? "replaceState" : "pushState"](null, "", href(path, query));
  const before = place.path;
  place = here();
  if (before !== place.path) scrollTo(0, 0);
}

/** Has links within the console change the view and load nothing. */
export function followLinks(): () => void {
  const moved = (): void => {
    place = here();
  };
  const clicked = (event: MouseEvent): void => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
      return;
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
    if (link.pathname !== BASE && !link.pathname.startsWith(`${BASE}/`)) return;
    event.preventDefault();
    history.pushState(null, "", link.pathname + link.search);
    const before = place.path;
    place = here();
    if (before !== place.path) scrollTo(0, 0);
  };
  addEventListener("popstate", moved);
  document.addEventListener("click", clicked);
  return () => {
    removeEventListener("popstate", moved);
    document.removeEventListener("click", clicked);
  };
}
