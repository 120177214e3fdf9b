/** A form for a command type, from the JSON schema of its parameters. */

import type { Role } from "../api/schema";

type Schema = { [key: string]: unknown };
export type CommandType = { type: string; summary: string; role: Role; params: Schema };
export type ParameterField = { name: string; kind: "text" | "number" | "boolean" | "choice" | "data"; required: boolean; hint: string; choices: string[] };

/** Gives a field for each parameter, those that are needed first. */
export function fieldsOf(schema: Schema): ParameterField[] {
  const defs = (schema["$defs"] ?? {}) as Record<string, Schema>;
  const resolve = (each: Schema): Schema => {
    const name = typeof each["$ref"] === "string" ? each["$ref"].split("/").at(-1) : undefined;
    return name === undefined ? each : (defs[name] ?? {});
  };
  const body = resolve(schema);
  const required = new Set((body["required"] as string[] | undefined) ?? []);
  const properties = (body["properties"] ?? {}) as Record<string, Schema>;
  return Object.entries(properties)
    .map(([name, each]) => field(name, each, required.has(name), resolve))
    .sort((a, b) => Number(b.required) - Number(a.required));
}

function field(name: string, given: Schema, required: boolean, resolve: (each: Schema) => Schema): ParameterField {
  const union = (given["anyOf"] ?? given["oneOf"]) as Schema[] | undefined;
  const kinds = (union ?? [given]).map(resolve).filter((each) => each["type"] !== "null");
  const one = kinds.length === 1 ? kinds[0]! : {};
  const usual = given["default"];
  const said = typeof given["description"] === "string" ? given["description"] : "";
  const hint = said || (usual !== undefined && usual !== null && usual !== "" && usual !== false ? `usually ${JSON.stringify(usual)}` : "");
  const base = { name, required, hint, choices: [] as string[] };
  if (Array.isArray(one["enum"])) return { ...base, kind: "choice", choices: one["enum"].map(String) };
  if (one["type"] === "boolean") return { ...base, kind: "boolean" };
  if (one["type"] === "integer" || one["type"] === "number") return { ...base, kind: "number" };
  if (one["type"] === "string" || kinds.every((each) => each["type"] === "string" || each["type"] === "integer")) return { ...base, kind: "text" };
  return { ...base, kind: "data", hint: hint || "as JSON" };
}

/** Gives the parameters as they are sent: what was left empty is left out. Raises SyntaxError for wrong JSON. */
export function paramsOf(fields: readonly ParameterField[], values: Record<string, string | boolean>): Record<string, unknown> {
  const params: Record<string, unknown> = {};
  for (const { name, kind } of fields) {
    const value = values[name];
    if (value === undefined || value === "" || value === false) continue;
    if (kind === "number") params[name] = Number(value);
    else if (kind === "data") params[name] = JSON.parse(String(value));
    else params[name] = value;
  }
  return params;
}

/** Gives what a form shows for parameters that were sent before: the reverse of `paramsOf`. */
export function valuesOf(fields: readonly ParameterField[], params: Record<string, unknown>): Record<string, string | boolean> {
  const values: Record<string, string | boolean> = {};
  for (const { name, kind } of fields) {
    const value = params[name];
    if (value === undefined || value === null) continue;
    if (kind === "boolean") values[name] = value === true;
    else values[name] = kind === "data" ? JSON.stringify(value) : String(value);
  }
  return values;
}
