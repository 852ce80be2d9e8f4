import {
  bytes,
  list,
  offered,
  record,
  text,
  texts,
  type ValuesOf,
  writable,
} from "../core/trait_table.js";

export interface Thumbnail {
  readonly name: string;
  readonly picture: DataView;
}

/** Several pictures, of which `input` names the one that is shown. */
export const STRIP_TRAITS = {
  _inputs: offered<readonly string[]>(texts, []),
  /** Of the pictures around the first that is in view; -1 where none has been asked for. */
  _strip: writable<number>("integer", Number.isInteger, -1),
  _thumbnails: offered<readonly Thumbnail[]>(list(record({ name: text, picture: bytes })), []),
};
export type StripTraits = ValuesOf<typeof STRIP_TRAITS>;
