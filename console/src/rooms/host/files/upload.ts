/** Sends a file from the browser's disk to a host: the browser reads it piece by piece, the page never holds it. */

import { ApiError, refusal } from "../../../api/http";
import { bytesOf, type HostPath } from "../../../logic/paths";

/** Begins to send; `stop` cancels, and the host then has nothing under that name. */
export function send(
  agent: string,
  file: File,
  dest: HostPath,
  { overwrite, progress }: { overwrite: boolean; progress: (sent: number) => void },
): { done: Promise<void>; stop: () => void } {
  const path = `/api/agents/${encodeURIComponent(agent)}/files`;
  const form = new FormData();
  // As bytes: a folder's name need not be text. It comes before the file, so that nothing waits at the center.
  form.append("dest", new Blob([bytesOf(dest)]));
  form.append("overwrite", String(overwrite));
  form.append("file", file, "file");
  const request = new XMLHttpRequest();
  const done = new Promise<void>((resolve, reject) => {
    request.upload.onprogress = (event) => progress(event.total > 0 ? (event.loaded / event.total) * file.size : 0);
    request.onload = () => {
      if (request.status === 200) resolve();
      else void refusal(new Response(request.responseText, { status: request.status }), path).then(reject);
    };
    request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    request.onerror = () =>
      reject(
        new ApiError({
          status: 0,
          code: "cut",
          detail: "It was cut off, and nothing is left of it on the host. Look at the connection and whether the host has room, then try again.",
          fields: {},
        }),
      );
    request.open("POST", path);
    request.setRequestHeader("Accept", "application/json");
    request.send(form);
  });
  return { done, stop: () => request.abort() };
}
