import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

const center = process.env["OUTRIDER_CENTER_URL"] ?? "http://127.0.0.1:8080";
const packed = /\.(js|css|html|svg)$/;

/** Puts beside each file what brotli and gzip make of it, where that is smaller. */
function compressed(): Plugin {
  let folder = "";
  return {
    name: "compressed",
    apply: "build",
    configResolved(config) {
      folder = config.build.outDir;
    },
    closeBundle() {
      for (const name of readdirSync(folder, { recursive: true, encoding: "utf-8" })) {
        if (!packed.test(name)) continue;
        const path = join(folder, name);
        const plain = readFileSync(path);
        const brotli = brotliCompressSync(plain, {
          params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: plain.length },
        });
        const gzip = gzipSync(plain, { level: 9 });
        if (brotli.length < plain.length) writeFileSync(`${path}.br`, brotli);
        if (gzip.length < plain.length) writeFileSync(`${path}.gz`, gzip);
      }
    },
  };
}

export default defineConfig({
  base: "/console/",
  plugins: [svelte(), compressed()],
  build: {
    outDir: process.env["OUTRIDER_CONSOLE_OUT"] ?? "dist",
    emptyOutDir: true,
    target: "es2022",
    // A file that is written into the page as data: would be refused by its own policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: {
    proxy: { "/api": center, "/schema": center },
  },
  test: { include: ["tests/**/*.test.ts"], environment: "node" },
});
