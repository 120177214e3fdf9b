import { describe, expect, it } from "vitest";
import { firstAbove, linesOfMessage, LogView, noteOf, rowsOf, type LogLine } from "../src/logic/logs";

const line = (text: string): LogLine => ({ time: 1, text, priority: null, from: "", note: false });
const texts = (view: LogView): string[] => Array.from({ length: view.length }, (_, at) => view.at(at)!.text);

describe("a log's lines", () => {
  it("are bounded in number and in size, the oldest going first", () => {
    const view = new LogView(3);
    for (let at = 0; at < 5000; at += 1) view.add(line(`${at}`));
    expect(texts(view)).toEqual(["4997", "4998", "4999"]);
    const small = new LogView(100, 10);
    for (const each of ["aaaa", "bbbb", "cccc"]) small.add(line(each));
    expect(texts(small)).toEqual(["bbbb", "cccc"]);
  });

  it("are filtered as they come and as they go, whatever the case", () => {
    const view = new LogView(4);
    view.add(line("An Error"));
    view.filter("error");
    for (const each of ["fine", "ERROR two", "fine", "fine", "error three"]) view.add(line(each));
    expect(texts(view)).toEqual(["ERROR two", "error three"]);
    view.filter("");
    expect(view.length).toBe(4);
  });

  it("wait while it is paused, are counted, and are shown when it goes on", () => {
    const view = new LogView(3);
    view.add(line("before"));
    view.pause();
    view.add(line("one"));
    view.add(noteOf("the host is away"));
    view.add(line("two"));
    expect(texts(view)).toEqual(["before"]);
    expect(view.waiting).toBe(2);
    view.goOn();
    expect(texts(view)).toEqual(["one", "the host is away", "two"]);
    expect(view.waiting).toBe(0);
  });

  it("that are too many for a pause are said to be missing", () => {
    const view = new LogView(3);
    view.pause();
    for (let at = 0; at < 10; at += 1) view.add(line(`${at}`));
    expect(view.waiting).toBe(10);
    view.goOn();
    expect(texts(view)).toEqual(["8 lines came during the pause that are no longer kept here", "8", "9"]);
  });

  it("are text: no escapes, no megabytes, one for each line of a message", () => {
    const [first, second] = linesOfMessage({ time: 1, message: "\u001b[31mred\u001b[0m\tx\n<b>\u202e\n" });
    expect([first!.text, second!.text]).toEqual(["red    x", "<b>\ufffd"]);
    const [long] = linesOfMessage({ time: 1, message: "y".repeat(1_000_000) });
    expect(long!.text.length).toBeLessThan(4_100);
    expect(long!.text).toContain("996000 more characters");
  });

  it("are told as text with their moment", () => {
    const view = new LogView();
    view.add({ ...line("hello"), from: "app" });
    view.add(noteOf("cut"));
    expect(view.text()).toBe("1970-01-01T00:00:01.000Z app hello\n--- cut\n");
  });
});

describe("wrapped lines", () => {
  it("take as many rows as their letters need", () => {
    expect(rowsOf("", 10)).toBe(1);
    expect(rowsOf("x".repeat(10), 10)).toBe(1);
    expect(rowsOf("x".repeat(11), 10)).toBe(2);
    expect(rowsOf("語".repeat(6), 10)).toBe(2);
  });

  it("are found by their place", () => {
    expect(firstAbove([10, 20, 30], 0)).toBe(0);
    expect(firstAbove([10, 20, 30], 10)).toBe(1);
    expect(firstAbove([10, 20, 30], 30)).toBe(3);
  });
});
