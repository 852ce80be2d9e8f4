import { html } from "./dom.js";

/** Hands a file to the person who asked for it, as a download. */
export function save(name: string, data: Uint8Array<ArrayBuffer>): void {
  const url = URL.createObjectURL(new Blob([data], { type: "application/octet-stream" }));
  html("a", { href: url, download: fileName(name) }).click();
  // The download has started by then, so that the memory can be released.
  setTimeout(() => URL.revokeObjectURL(url));
}

/** Returns a safe file name: letters, digits and underscores, with its extension; no folder and no device name. */
export function fileName(name: string): string {
  const [ending = ""] = /\.[a-z0-9]{1,5}$/.exec(name) ?? [];
  const stem = name.slice(0, name.length - ending.length).replace(/[^\w-]+/g, "_");
  return `${stem.slice(0, 60) || "file"}${ending}`;
}
