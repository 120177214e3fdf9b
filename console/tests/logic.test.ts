import { describe, expect, it } from "vitest";
import { SseParser } from "../src/api/sse";
import { grouped } from "../src/logic/outputs";
import { covers } from "../src/logic/roles";
import { appended, emptyTable } from "../src/logic/series";
import { absolute, bytes, duration, relative } from "../src/logic/time";
import { inSight, linesOf } from "../src/logic/virtual";
import { fieldsOf, paramsOf } from "../src/rooms/parameters";
import { viewOf } from "../src/rooms/places";

describe("server-sent events", () => {
  const stream = ": hello\nid: 7\nevent: agent.online\ndata: {\ndata: }\n\ndata: x\r\n\r\nid: 8\ndata:y\r\r";
  it.each([1, 2, 3, 1000])("are the same however they are cut (%i)", (size) => {
    const parser = new SseParser();
    const found = [];
    for (let at = 0; at < stream.length; at += size) found.push(...parser.feed(stream.slice(at, at + size)));
    found.push(...parser.feed("\n"));
    expect(found).toEqual([
      { kind: "agent.online", data: "{\n}", id: "7" },
      { kind: "message", data: "x", id: "7" },
      { kind: "message", data: "y", id: "8" },
    ]);
  });
});

describe("grouping of answers", () => {
  const said = (id: string, status: string, stdout: string) => ({ id, status, exit_code: 0, reason: "", stdout, stderr: "" });
  it("puts equal ones together, trouble first, then the most", () => {
    const groups = grouped([said("a", "succeeded", "1"), said("b", "succeeded", "2"), said("c", "failed", "1"), said("d", "succeeded", "2")]);
    expect(groups.map((each) => each.hosts.map((host) => host.id).join(""))).toEqual(["c", "bd", "a"]);
  });
});

describe("times", () => {
  it("are said in one unit", () => {
    expect(relative(100, 102)).toBe("now");
    expect(relative(100, 159)).toBe("59 s ago");
    expect(relative(100, 100 + 7200)).toBe("2 h ago");
    expect(relative(100 + 90_000, 100)).toBe("in 1 d");
  });
  it("are said in full where the reader is and in UTC", () => {
    expect(absolute(1_700_000_000, "Europe/Berlin")).toBe("14 Nov 2023, 23:13:20 CET\n2023-11-14 22:13:20 UTC");
    expect(absolute(Number.NaN)).toBe("unknown");
  });
  it("lasts", () => {
    expect([duration(0.25), duration(3.21), duration(61), duration(90_000), duration(-1)]).toEqual(["250 ms", "3.2 s", "1 min 1 s", "1 d 1 h", "–"]);
    expect([bytes(0), bytes(1536), bytes(5 * 1024 ** 3), bytes(null)]).toEqual(["0 B", "1.5 KiB", "5.0 GiB", "–"]);
  });
});

describe("long lists", () => {
  it("draw what is in sight", () => {
    for (const top of [0, 39, 4_000, 399_000, 400_000, 999_999]) {
      const { first, last } = inSight(10_000, 40, top, 600);
      expect(last - first).toBeLessThan(60);
      expect(first * 40).toBeLessThanOrEqual(Math.min(top, 400_000 - 600));
      expect(last * 40).toBeGreaterThanOrEqual(Math.min(top + 600, 400_000));
    }
    expect(inSight(0, 40, 0, 600)).toEqual({ first: 0, last: 0 });
    expect(inSight(3, 40, 0, 600)).toEqual({ first: 0, last: 3 });
  });

  it("keep a row that stays in sight in its line", () => {
    expect(linesOf({ first: 0, last: 4 })).toEqual([0, 1, 2, 3]);
    expect(linesOf({ first: 3, last: 7 })).toEqual([4, 5, 6, 3]);
    expect(linesOf({ first: 0, last: 0 })).toEqual([]);
    for (let first = 0; first < 30; first++) {
      const lines = linesOf({ first, last: first + 7 });
      expect([...lines].sort((a, b) => a - b)).toEqual(Array.from({ length: 7 }, (_, at) => first + at));
      const next = linesOf({ first: first + 1, last: first + 8 });
      expect(next.filter((at, line) => at !== lines[line])).toEqual([first + 7]);
    }
  });
});

describe("live figures", () => {
  const figures = { cpu: 1, memory: 2, load: 3, received: 4, sent: 5 };
  it("stay of one size, in order, with a hole where some are missing", () => {
    let table = emptyTable();
    for (let time = 0; time < 10_000; time += 5) table = appended(table, time, figures, time - 900, 20);
    expect(table.times.length).toBe(181);
    expect(appended(table, 9_995, figures, 0, 20)).toBe(table);
    const after = appended(table, 10_100, figures, 9_200, 20);
    expect(after.cpu.slice(-3)).toEqual([1, null, 1]);
    expect(after.cpu.length).toBe(after.times.length);
  });
});

describe("roles", () => {
  it("cover those below them", () => {
    expect(covers("admin", "operator")).toBe(true);
    expect(covers("viewer", "operator")).toBe(false);
    expect(covers(undefined, "viewer")).toBe(false);
  });
});

describe("parameters", () => {
  const schema = {
    $ref: "#/$defs/Service",
    $defs: {
      Service: {
        type: "object",
        required: ["name"],
        properties: {
          timeout: { type: "number", default: 120 },
          action: { $ref: "#/$defs/Action", default: "status" },
          name: { type: "string" },
          force: { type: "boolean", default: false },
          env: { type: "object" },
          user: { anyOf: [{ type: "string" }, { type: "null" }], default: null },
        },
      },
      Action: { enum: ["start", "stop"] },
    },
  };
  it("are asked for by their schema, needed ones first", () => {
    const fields = fieldsOf(schema);
    expect(fields[0]).toMatchObject({ name: "name", kind: "text", required: true });
    expect(Object.fromEntries(fields.map((each) => [each.name, each.kind]))).toEqual({ name: "text", timeout: "number", action: "choice", force: "boolean", env: "data", user: "text" });
  });
  it("are sent as what they are, and left out when empty", () => {
    expect(paramsOf(fieldsOf(schema), { name: "nginx", timeout: "5", force: true, env: '{"A":"b"}', user: "" })).toEqual({ name: "nginx", timeout: 5, force: true, env: { A: "b" } });
  });
});

describe("addresses", () => {
  it("lead to a room, a host, a dispatch, or nowhere", () => {
    expect(viewOf("/")).toEqual({ page: "overview", room: "/", values: {} });
    expect(viewOf("/hosts/agent_1")).toEqual({ page: "host", room: "/hosts", values: { id: "agent_1" } });
    expect(viewOf("/hosts/agent_1/logs/")).toEqual({ page: "host", room: "/hosts", values: { id: "agent_1", tab: "logs" } });
    expect(viewOf("/commands/dsp_1")).toEqual({ page: "dispatch", room: "/commands", values: { id: "dsp_1" } });
    expect(viewOf("/hosts/agent_1/logs/more").page).toBe("nowhere");
    expect(viewOf("/elsewhere").page).toBe("nowhere");
  });
});
