/** One window on a terminal: its screen, and the connection that comes back by itself (docs/guides/terminal.md). */

import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";
import { ApiError, address, get, sentence } from "../../../api/http";
import type { TerminalRow } from "../../../api/schema";
import { Backlog } from "../../../logic/backlog";
import { endingOf, told, type Ending } from "../../../logic/terminal";
import { oneLine } from "../../../logic/text";
import { colours } from "./colours";
import { ownStyles } from "./own_styles";

/** `waiting`: the shell lives on and is come back to; `elsewhere`: it is shown in another window. */
export type Standing = "opening" | "open" | "waiting" | "elsewhere" | "over" | "refused";

/** What is on its way to the screen; a host that says more in less time than can be drawn is cut short. */
const MOST_WAITING = 4_000_000;
/** What such a host said last: the prompt is among it. */
const KEPT_OF_A_FLOOD = 64_000;
/** A connection that has not even said `beat` for so long is none any more. */
const SILENT_MS = 40_000;
/** Keys that are kept for a terminal that is being opened. */
const MOST_EARLY = 1_000;
const LONGEST_PAUSE_MS = 2_000;
/** Codes from 4000 on are a page's own. Anything but 1000 leaves the shell as it is. */
const CUT = 4000;
const encoder = new TextEncoder();

export class ShellWindow {
  readonly agent: string;
  readonly user: string;
  readonly terminal: Terminal;
  readonly element: HTMLElement = document.createElement("div");
  id = $state("");
  account = $state("");
  standing = $state<Standing>("opening");
  reason = $state("");

  #fit = new FitAddon();
  #socket: WebSocket | null = null;
  #seen: number | null = null;
  #backlog = new Backlog(MOST_WAITING, KEPT_OF_A_FLOOD);
  /** What was typed before the terminal was there. */
  #early: Uint8Array<ArrayBuffer>[] = [];
  #pause = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #silent: ReturnType<typeof setTimeout> | undefined;
  #shown = false;
  #gone = false;

  /** Opens a new terminal, or with `id` comes back to that one. */
  constructor(agent: string, { id = "", user = "", readAloud = false }: { id?: string; user?: string; readAloud?: boolean }) {
    this.agent = agent;
    this.user = user;
    this.id = id;
    const mono = getComputedStyle(document.documentElement).getPropertyValue("--mono").trim();
    this.terminal = new Terminal({
      fontFamily: mono || "monospace",
      fontSize: 13,
      scrollback: 5000,
      minimumContrastRatio: 4.5,
      screenReaderMode: readAloud,
      theme: colours(),
      // A link that a host writes says one thing and may lead to another.
      linkHandler: { activate: () => undefined },
    });
    this.terminal.loadAddon(this.#fit);
    this.terminal.onData((typed) => this.#send(encoder.encode(typed)));
    this.terminal.onBinary((typed) => this.#send(Uint8Array.from(typed, (each) => each.charCodeAt(0))));
    this.terminal.onResize(({ cols, rows }) => {
      if (this.standing === "open") this.#socket?.send(JSON.stringify({ resize: { cols, rows } }));
    });
    this.terminal.attachCustomKeyEventHandler((event) => this.#isForShell(event));
  }

  /** Shows the screen in a place; what comes while it is shown nowhere is kept. */
  show(place: HTMLElement): () => void {
    place.append(this.element);
    if (this.#shown) this.fit();
    else {
      this.#shown = true;
      this.element.classList.add("xterm-place");
      ownStyles();
      this.terminal.open(this.element);
      this.fit();
      this.#connect();
    }
    return () => this.element.remove();
  }

  fit(): void {
    if (this.element.isConnected && this.element.clientWidth > 0) this.#fit.fit();
  }

  /** Takes the terminal over from the window that has it, or tries again at once. */
  take(): void {
    clearTimeout(this.#timer);
    this.standing = "opening";
    this.#connect();
  }

  /** Lets go of it: the shell lives on for a minute. */
  dispose(): void {
    this.#gone = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#silent);
    this.#socket?.close(CUT);
    this.terminal.dispose();
    this.element.remove();
  }

  #isForShell(event: KeyboardEvent): boolean {
    if (event.type !== "keydown" || !event.ctrlKey || !event.shiftKey) return true;
    if (event.key === "ArrowUp") {
      // The way out for who has no mouse: every other key is the shell's.
      event.preventDefault();
      this.element.dispatchEvent(new CustomEvent("leave", { bubbles: true }));
      return false;
    }
    if (event.code === "KeyC" && this.terminal.hasSelection()) {
      event.preventDefault();
      this.copy();
      return false;
    }
    return event.code !== "KeyV"; // the browser's own paste
  }

  copy(): void {
    this.terminal.focus();
    document.execCommand("copy");
  }

  #send(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.standing === "opening" && this.#seen === null && this.#early.length < MOST_EARLY) this.#early.push(bytes);
    else if (this.standing === "open" && this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(bytes);
  }

  #connect(): void {
    const { cols, rows } = this.terminal;
    const returning = this.id !== "";
    const path = address(`/api/agents/${encodeURIComponent(this.agent)}/terminal`, {
      cols,
      rows,
      term: "xterm-256color",
      user: returning ? undefined : this.user,
      terminal: this.id,
      seen: returning ? this.#seen : undefined,
    });
    const url = new URL(path, location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    let opened = false;
    socket.onmessage = ({ data }: MessageEvent<ArrayBuffer | string>) => {
      if (socket !== this.#socket || this.#gone) return;
      this.#hear(socket);
      if (typeof data === "string") opened = this.#told(data) || opened;
      else this.#draw(new Uint8Array(data));
    };
    socket.onclose = () => {
      if (socket !== this.#socket || this.#gone) return;
      clearTimeout(this.#silent);
      if (this.standing === "over" || this.standing === "elsewhere") return;
      if (opened) this.#again("");
      else void this.#ask();
    };
    this.#hear(socket);
  }

  #hear(socket: WebSocket): void {
    clearTimeout(this.#silent);
    this.#silent = setTimeout(() => {
      socket.close(CUT);
      socket.onclose?.(new CloseEvent("close"));
    }, SILENT_MS);
  }

  /** Takes a text message; tells whether it was that the terminal is there. */
  #told(data: string): boolean {
    const said = told(data);
    if (said.kind === "opened") {
      if (this.#seen === null) this.terminal.reset();
      this.id = said.terminal;
      this.account = oneLine(said.account);
      this.#seen = said.offset;
      this.#pause = 0;
      this.standing = "open";
      this.reason = "";
      this.terminal.options.disableStdin = false;
      this.fit();
      for (const typed of this.#early.splice(0)) this.#send(typed);
      return true;
    }
    if (said.kind === "lost") this.#note(`${said.bytes.toLocaleString("en")} bytes came in between and are lost`);
    else if (said.kind === "ended") this.#over(said);
    else if (said.kind === "cut" && !said.again) {
      this.standing = "elsewhere";
      this.reason = oneLine(said.reason);
      this.terminal.options.disableStdin = true;
    } else if (said.kind === "cut") this.reason = oneLine(said.reason);
    return false;
  }

  #over(ending: Ending): void {
    this.standing = "over";
    this.reason = endingOf(ending);
    this.terminal.options.disableStdin = true;
  }

  #draw(bytes: Uint8Array): void {
    this.#seen = (this.#seen ?? 0) + bytes.length;
    if (this.#backlog.offer(bytes)) this.#write(bytes);
  }

  #write(bytes: Uint8Array): void {
    this.terminal.write(bytes, () => {
      const rest = this.#backlog.drawn(bytes.length);
      if (rest === null) return;
      if (rest.left > 0) this.#note(`${rest.left.toLocaleString("en")} bytes came faster than they can be drawn`);
      if (this.#backlog.offer(rest.tail)) this.#write(rest.tail);
    });
  }

  #note(text: string): void {
    this.terminal.write(`\r\n\x1b[0;2m[${text}]\x1b[0m\r\n`);
  }

  #again(reason: string): void {
    this.standing = "waiting";
    if (reason) this.reason = reason;
    this.terminal.options.disableStdin = true;
    this.#pause = Math.min(LONGEST_PAUSE_MS, this.#pause * 2 || 250);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#connect(), this.#pause);
  }

  /** Finds out why there was no terminal: of a refused WebSocket, browsers tell a page nothing. */
  async #ask(): Promise<void> {
    try {
      const rows = await get<TerminalRow[]>("/api/terminals", { agent: this.agent, limit: 1000 });
      if (this.#gone) return;
      const row = rows.find((each) => each.id === this.id);
      if (row?.ended) this.#over(row);
      else if (row) this.#again("");
      else this.#refuse(this.id ? "There is no such terminal, or somebody else opened it." : await this.#whyNot());
    } catch (error) {
      if (this.#gone) return;
      if (error instanceof ApiError && error.status === 0 && this.id) this.#again(error.message);
      else this.#refuse(sentence(error));
    }
  }

  async #whyNot(): Promise<string> {
    const host = await get<{ status: string; abilities: string[] }>(`/api/agents/${encodeURIComponent(this.agent)}`);
    if (host.status !== "online") return "The host is not connected.";
    if (!host.abilities.includes("terminal")) return "The host's policy forbids terminals.";
    return "The host opened none. It may have no terminals to give, hold sixteen already, or not have this user.";
  }

  #refuse(reason: string): void {
    this.standing = "refused";
    this.reason = reason;
    this.terminal.options.disableStdin = true;
  }
}
