import { expect, test } from "vitest";
import { byTrouble, deedsOf } from "../src/logic/services";

const service = (active: string, enabled: string, load = "loaded", name = "x.service") => ({ name, load, active, enabled });
const actions = (...of: Parameters<typeof service>): string => deedsOf(service(...of)).map((each) => each.action).join(" ");

test("only what fits how a service is is offered", () => {
  expect(actions("active", "enabled")).toBe("restart stop disable");
  expect(actions("inactive", "disabled")).toBe("start enable");
  expect(actions("failed", "static")).toBe("start");
  expect(actions("inactive", "masked", "masked")).toBe("");
  expect(actions("deactivating", "generated", "error")).toBe("");
});

test("what has failed stands first, words nobody knows last", () => {
  const all = [service("odd", ""), service("active", "", "loaded", "b"), service("inactive", ""), service("active", "", "loaded", "a"), service("failed", "")];
  expect(all.sort(byTrouble).map((each) => `${each.active} ${each.name}`)).toEqual(["failed x.service", "active a", "active b", "inactive x.service", "odd x.service"]);
});
