/**
 * Makes a key under which the center takes a request once, however often it is sent.
 *
 * `crypto.randomUUID` is not there over plain HTTP.
 */
export function onceKey(): string {
  return [...crypto.getRandomValues(new Uint32Array(4))].map((each) => each.toString(36)).join("-");
}
