/** Addresses of hosts as people type and paste them. */

export type Login = { host: string; user: string; port: number };
export type Read = { logins: Login[]; wrong: { line: number; text: string; why: string }[] };

const HOST = /^[A-Za-z0-9_\[:][A-Za-z0-9_.:%\[\]-]*$/;

/** Reads `[user@]host[:port]`; gives a sentence where it can't. An IPv6 address with a port stands in brackets. */
export function readLogin(text: string, user: string, port: number): Login | string {
  const at = text.lastIndexOf("@");
  const name = at < 0 ? user : text.slice(0, at);
  let host = text.slice(at + 1);
  let door = port;
  const said = /^(\[[^\]]+\]|[^:\[\]]+):(\d+)$/.exec(host);
  if (said) {
    host = said[1]!;
    door = Number(said[2]);
  }
  host = host.replace(/^\[(.*)\]$/, "$1");
  if (name === "") return "there is no user before the @";
  if (/\s/.test(name)) return "a user name has no spaces";
  if (!HOST.test(host) || host.length > 253) return "this is no address";
  if (!(door >= 1 && door <= 65535)) return "a port is 1 to 65535";
  return { host, user: name, port: door };
}

/** Reads one address a line, or several with commas or spaces between; what stands twice counts once. */
export function readLogins(text: string, user: string, port: number): Read {
  const found = new Map<string, Login>();
  const wrong: Read["wrong"] = [];
  for (const [at, line] of text.split(/\r?\n/).entries()) {
    for (const word of line.replace(/#.*$/, "").split(/[\s,;]+/)) {
      if (word === "") continue;
      const login = readLogin(word, user, port);
      if (typeof login === "string") wrong.push({ line: at + 1, text: word, why: login });
      else found.set(written(login), login);
    }
  }
  return { logins: [...found.values()], wrong };
}

/** Writes an address so that it can be read again. */
export function written({ host, user, port }: Login): string {
  return `${user}@${host.includes(":") ? `[${host}]` : host}${port === 22 ? "" : `:${port}`}`;
}
