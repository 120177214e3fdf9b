import { expect, test } from "vitest";
import { readLogin, readLogins, written } from "../src/logic/addresses";
import { adviceFor, stepsOf, stillFailed } from "../src/logic/deployments";
import { stateOf, tagsOf } from "../src/logic/enrolment";

test("addresses are read as they are typed", () => {
  expect(readLogin("web-1", "root", 22)).toEqual({ host: "web-1", user: "root", port: 22 });
  expect(readLogin("ops@10.0.0.5:2222", "root", 22)).toEqual({ host: "10.0.0.5", user: "ops", port: 2222 });
  expect(readLogin("[fe80::1]:2222", "root", 22)).toEqual({ host: "fe80::1", user: "root", port: 2222 });
  expect(readLogin("fe80::1", "root", 22)).toEqual({ host: "fe80::1", user: "root", port: 22 });
  for (const wrong of ["@web", "web:0", "web:99999", "-oProxyCommand=x", "we<b"]) expect(typeof readLogin(wrong, "root", 22)).toBe("string");
  const login = { host: "fe80::1", user: "ops", port: 2222 };
  expect(readLogin(written(login), "root", 22)).toEqual(login);
});

test("many are read one a line, what stands twice once, and what is wrong with its line", () => {
  const read = readLogins("web-1\nweb-2, web-1 # the old ones\n\n@nobody", "root", 22);
  expect(read.logins.map((each) => each.host)).toEqual(["web-1", "web-2"]);
  expect(read.wrong).toEqual([{ line: 4, text: "@nobody", why: "there is no user before the @" }]);
});

test("steps stand as they were told", () => {
  const told = [
    { step: "connect", state: "begun", time: 1 },
    { step: "connect", state: "note", time: 2, detail: "a key" },
    { step: "connect", state: "done", time: 3 },
    { step: "authenticate", state: "begun", time: 3 },
  ] as const;
  const under = stepsOf({ state: "running", step: "authenticate", finished: null }, told);
  expect(under.map((each) => each.standing)).toEqual(["done", "runs", "waits", "waits", "waits", "waits"]);
  expect([under[0]!.seconds, under[0]!.notes]).toEqual([2, ["a key"]]);
  const over = stepsOf({ state: "failed", step: "authenticate", finished: 4 }, told);
  expect(over.map((each) => each.standing)).toEqual(["done", "failed", "left", "left", "left", "left"]);
});

test("a host that was deployed to since has not failed", () => {
  const one = { port: 22, via: "" };
  const all = [
    { ...one, host: "a", state: "deployed" as const },
    { ...one, host: "a", state: "failed" as const },
    { ...one, host: "b", state: "failed" as const },
    { ...one, host: "b", state: "deployed" as const },
  ];
  expect(stillFailed(all).map((each) => each.host)).toEqual(["b"]);
  expect(adviceFor({ code: "whatever", step: "online", state: "failed" })).toContain("public address");
});

test("a key's state and tags", () => {
  const key = { revoked: false, expires: 100, uses: 2, used: 1 };
  expect(stateOf(key, 50)).toBe("usable");
  expect(stateOf(key, 100)).toBe("expired");
  expect(stateOf({ ...key, used: 2 }, 50)).toBe("used up");
  expect(stateOf({ ...key, revoked: true }, 50)).toBe("revoked");
  expect(stateOf({ revoked: false, expires: null, uses: null, used: 9 }, 1e12)).toBe("usable");
  expect(tagsOf(" web, SITE=x1,,web\n db")).toEqual(["web", "SITE=x1", "db"]);
});
