import { html } from "./dom.js";

/** Hands a file to the person who asked for it, as a download. */
export function save(name: string, data: Uint8Array<ArrayBuffer>): void {
  const url = URL.createObjectURL(new Blob([data], { type: "application/octet-stream" }));
  html("a", { href: url, download: fileName(name) }).click();
  // The browser has taken hold of it by then.
  setTimeout(() => URL.revokeObjectURL(url));
}

/** Of letters, digits and few signs: no folder, no device, nothing that a shell or a file system takes amiss. */
export function fileName(name: string): string {
  const [ending = ""] = /\.[a-z0-9]{1,5}$/.exec(name) ?? [];
  const stem = name.slice(0, name.length - ending.length).replace(/[^\w-]+/g, "_");
  return `${stem.slice(0, 60) || "file"}${ending}`;
}
