/** What is on its way to a screen: when more comes than can be drawn, the middle is left out and the newest kept. */

const LINE_END = 10;

/** What was left out, in bytes, and the end of it, to be drawn. */
export type Rest = { left: number; tail: Uint8Array };

export class Backlog {
  readonly #most: number;
  readonly #keep: number;
  #waiting = 0;
  #left = 0;
  #tail: Uint8Array[] = [];
  #kept = 0;

  /** Lets `most` bytes wait to be drawn; of what comes beyond, about the last `keep` are kept. */
  constructor(most: number, keep: number) {
    this.#most = most;
    this.#keep = keep;
  }

  /** Takes what came; tells whether it is to be drawn now. What came later is never drawn sooner. */
  offer(bytes: Uint8Array): boolean {
    if (this.#left === 0 && this.#waiting <= this.#most) {
      this.#waiting += bytes.length;
      return true;
    }
    this.#left += bytes.length;
    this.#tail.push(bytes);
    this.#kept += bytes.length;
    while (this.#kept - (this.#tail[0]?.length ?? 0) >= this.#keep) this.#kept -= this.#tail.shift()?.length ?? 0;
    return false;
  }

  /** Notes that so many bytes were drawn; gives what was left out, once there is room again. */
  drawn(count: number): Rest | null {
    this.#waiting -= count;
    if (this.#left === 0 || this.#waiting >= this.#most / 4) return null;
    const tail = this.#end();
    const rest = { left: this.#left - tail.length, tail };
    this.#left = this.#kept = 0;
    this.#tail = [];
    return rest;
  }

  /** The last bytes; from the beginning of a line where something is left out before them. */
  #end(): Uint8Array {
    const whole = new Uint8Array(this.#kept);
    let at = 0;
    for (const part of this.#tail) {
      whole.set(part, at);
      at += part.length;
    }
    if (this.#left === this.#kept) return whole;
    const last = whole.subarray(Math.max(0, whole.length - this.#keep));
    return last.subarray(last.indexOf(LINE_END) + 1);
  }
}
