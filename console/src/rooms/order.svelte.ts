/** A dispatch while it is written: by hand for now, or for a schedule. */

import { get } from "../api/http";
import type { DispatchBody } from "../api/schema";
import { covers } from "../logic/roles";
import { previewed, type Previewed } from "../state/previewed.svelte";
import { session } from "../state/session.svelte";
import { fieldsOf, paramsOf, valuesOf, type CommandType, type ParameterField } from "./parameters";

const NAMED = 12;

/** For use while a component is made. */
export class Order {
  target = $state("");
  type = $state("shell");
  command = $state("");
  values = $state<Record<string, string | boolean>>({});
  concurrency = $state("");
  failures = $state("");
  offline = $state("wait");
  types = $state.raw<CommandType[]>([]);
  /** Why the command types could not be loaded. */
  error = $state.raw<unknown>(null);
  readonly seen: Previewed;
  readonly chosen = $derived(this.types.find((each) => each.type === this.type));
  readonly fields: ParameterField[] = $derived(this.type === "shell" || !this.chosen ? [] : fieldsOf(this.chosen.params));
  readonly offered = $derived(this.types.filter((each) => covers(session.view?.user.role, each.role)));
  readonly isWritten = $derived(this.target.trim() !== "" && (this.type !== "shell" || this.command.trim() !== ""));
  #ttl: number | undefined;

  constructor(given: Partial<DispatchBody> = {}) {
    this.target = given.target ?? "";
    this.type = given.type ?? "shell";
    if (this.type === "shell") this.command = String(given.params?.["command"] ?? "");
    this.concurrency = String(given.concurrency ?? "");
    this.failures = String(given.max_failures ?? "");
    this.offline = given.offline ?? "wait";
    this.#ttl = given.ttl;
    this.seen = previewed(() => this.target, NAMED);
    $effect(() => {
      get<CommandType[]>("/api/agents/command-types").then(
        (found) => {
          this.types = found;
          const params = given.params;
          if (params && this.type !== "shell") this.values = valuesOf(this.fields, params);
        },
        (problem: unknown) => (this.error = problem),
      );
    });
  }

  /** Gives what is sent. Raises SyntaxError for a parameter that is no JSON. */
  body(): DispatchBody {
    return {
      target: this.target,
      type: this.type,
      params: this.type === "shell" ? { command: this.command } : paramsOf(this.fields, this.values),
      offline: this.offline === "skip" ? "skip" : "wait",
      ...(this.concurrency ? { concurrency: Number(this.concurrency) } : {}),
      ...(this.failures ? { max_failures: /^\d+$/.test(this.failures) ? Number(this.failures) : this.failures } : {}),
      ...(this.#ttl === undefined ? {} : { ttl: this.#ttl }),
    };
  }
}
