/** The fingerprints of the center's own authorities, which hosts pin. */

/** Gives the SHA-256 fingerprint of each certificate; none where the center has no authority of its own. */
export async function authorityOf(signal: AbortSignal): Promise<string[]> {
  // A browser computes digests for pages that came over TLS, or from this machine, and for no others.
  if (!globalThis.crypto?.subtle) throw new Error("This browser shows it only over TLS.");
  const answer = await fetch("/api/ca", { signal, credentials: "same-origin" });
  if (answer.status === 404) return [];
  if (!answer.ok) throw new Error(`The center answered ${answer.status}.`);
  const found = (await answer.text()).matchAll(/-----BEGIN CERTIFICATE-----([^-]+)-----END CERTIFICATE-----/g);
  return Promise.all([...found].map(([, body]) => fingerprint(body ?? "")));
}

async function fingerprint(base64: string): Promise<string> {
  const bytes = Uint8Array.from(atob(base64.replace(/\s/g, "")), (sign) => sign.charCodeAt(0));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join(":").toUpperCase();
}
