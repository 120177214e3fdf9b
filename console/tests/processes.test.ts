import { expect, test } from "vitest";
import { canEnd, listOf, treeOf, type Row } from "../src/logic/processes";

type Told = { pid: number; ppid: number; start_ticks: number; user: string; name: string; command: string };
const process = (pid: number, ppid: number, name = `p${pid}`): Told => ({ pid, ppid, start_ticks: pid * 10, user: "root", name, command: `/bin/${name}` });
const byPid = (a: Told, b: Told): number => a.pid - b.pid;
const drawn = (rows: Row<Told>[]): string[] => rows.map((each) => `${"-".repeat(each.depth)}${each.process.pid}${each.children ? (each.open ? "v" : ">") : ""}${each.aside ? "?" : ""}`);
const HOST = [process(30, 20, "worker"), process(1, 0, "init"), process(20, 1, "nginx"), process(31, 20, "worker"), process(40, 1, "cron"), process(2, 0, "kthreadd")];

test("each stands beneath its parent, siblings in their order", () => {
  expect(drawn(treeOf(HOST, "", new Set(), byPid))).toEqual(["1v", "-20v", "--30", "--31", "-40", "2"]);
  expect(drawn(treeOf(HOST, "", new Set(), (a, b) => b.pid - a.pid))).toEqual(["2", "1v", "-40", "-20v", "--31", "--30"]);
});

test("what is shut shows nothing beneath it, until something is looked for", () => {
  expect(drawn(treeOf(HOST, "", new Set(["1-10"]), byPid))).toEqual(["1>", "2"]);
  expect(drawn(treeOf(HOST, "worker", new Set(["1-10"]), byPid))).toEqual(["1v?", "-20v?", "--30", "--31"]);
  expect(drawn(treeOf(HOST, "nothing like it", new Set(), byPid))).toEqual([]);
  expect(listOf(HOST, "worker").map((each) => each.id)).toEqual(["30-300", "31-310"]);
});

test("circles, orphans and processes that are their own parent are all shown, once", () => {
  const odd = [process(5, 6), process(6, 5), process(7, 7), process(8, 999), process(9, 6)];
  const rows = treeOf(odd, "", new Set(), byPid);
  expect(rows.map((each) => each.process.pid).sort()).toEqual([5, 6, 7, 8, 9]);
  expect(drawn(treeOf(odd, "", new Set(["5-50"]), byPid))).toEqual(["7", "8", "5>"]);
});

test("a chain of ten thousand is no trouble", () => {
  const chain = Array.from({ length: 10_000 }, (_, at) => process(at + 1, at));
  const rows = treeOf(chain, "", new Set(), byPid);
  expect(rows.length).toBe(10_000);
  expect(rows.at(-1)?.depth).toBe(9999);
});

test("what no host ends is not offered to be ended", () => {
  const kernel = { ...process(9, 2), command: "" };
  expect([process(1, 0), { ...process(2, 0), command: "" }, kernel, process(2, 1), process(9, 2), process(9, 1)].map(canEnd)).toEqual([false, false, false, true, true, true]);
});
