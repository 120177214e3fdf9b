import { describe, expect, it } from "vitest";
import type { Shown } from "../src/api/schema";
import { brief, fromField, moment, toField, withNewer } from "../src/logic/audit";
import { clientName } from "../src/logic/clients";
import { givable, isLastOwner } from "../src/logic/roles";

describe("roles that may be given", () => {
  it("are none above one's own", () => {
    expect(givable("admin").map(([role]) => role)).toEqual(["viewer", "operator", "admin"]);
    expect(givable(undefined)).toEqual([]);
  });
  it("leave a super admin who can sign in", () => {
    const one = { role: "super_admin", disabled: false } as const;
    const out = { role: "super_admin", disabled: true } as const;
    expect(isLastOwner(one, [one, out, { role: "admin", disabled: false }])).toBe(true);
    expect(isLastOwner(one, [one, { ...one }])).toBe(false);
    expect(isLastOwner(out, [one, out])).toBe(false);
  });
});

describe("what somebody signs in with", () => {
  it.each([
    ["Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36", "Chrome on Linux"],
    ["Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605 Version/17.0 Safari/604.1", "Safari on iOS"],
    ["Mozilla/5.0 (Windows NT 10.0) Chrome/130.0 Safari/537.36 Edg/130.0", "Edge on Windows"],
    ["curl/8.5.0", "curl"],
    ["outrider-cli/1.0", "outrider-cli/1.0"],
    ["", "Unknown"],
  ])("%s", (agent, said) => expect(clientName(agent)).toBe(said));
});

describe("the audit log", () => {
  const entry = (number: number): Shown => ({ number, time: 0, actor: { kind: "user", id: "u", name: "ada" }, action: "x", subject: "", data: {}, hash: "" });
  it("takes newer entries once, newest first", () => {
    const found = withNewer([entry(4), entry(3)], [entry(4), entry(5), entry(7)]);
    expect(found.map((each) => each.number)).toEqual([7, 5, 4, 3]);
  });
  it("keeps a moment in the address and shows it in a local field", () => {
    const text = fromField("2026-03-04T05:06");
    expect(toField(moment(text))).toBe("2026-03-04T05:06");
    expect([moment("x"), moment(null), moment("-1"), fromField(""), toField(null)]).toEqual([null, null, null, "", ""]);
  });
  it("says what an entry holds in a line", () => {
    expect(brief({ user: "ada", ended: 2, changed: { role: "admin" } })).toBe('user: ada, ended: 2, changed: {"role":"admin"}');
  });
});
