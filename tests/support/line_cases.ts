/** What every reader of lines must make of the same bytes: the daemon's, the engine's and the client's. */

const encoder = new TextEncoder();

/** One stream of bytes, and the lines that are not blank in it. */
export interface LineCase {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly lines: readonly string[];
  /** Absent: nothing is wrong with it. */
  readonly violation?: "not_utf8";
}

/** Every line is shorter than 1000 bytes. */
export const LINE_CASES: readonly LineCase[] = [
  {
    name: "lines of every length up to a character of four bytes",
    ...text("\na\nü\n漢\n👩‍🚀\n", ["a", "ü", "漢", "👩‍🚀"]),
  },
  { name: "a last line without its newline", ...text("one\ntwo", ["one", "two"]) },
  { name: "lines with carriage returns, and blank ones", ...text("one\r\n \r\n\t\n\ntwo\n", ["one\r", "two"]) },
  { name: "a byte order mark, which is no part of JSON", ...text("\ufeff{}\n", ["\ufeff{}"]) },
  {
    name: "characters that other formats take for ends of lines",
    ...text("a\u2028b\u0085c\vd\n", ["a\u2028b\u0085c\vd"]),
  },
  { name: "nothing", ...text("", []) },
  {
    name: "a line that is not UTF-8, after one that is",
    bytes: Uint8Array.of(...encoder.encode("good\n"), 0xc3, 0x28, 0x0a),
    lines: ["good"],
    violation: "not_utf8",
  },
  {
    name: "a line that ends within a character",
    bytes: Uint8Array.of(...encoder.encode("good\n"), 0xe6, 0xbc, 0x0a),
    lines: ["good"],
    violation: "not_utf8",
  },
];

function text(all: string, lines: readonly string[]): Pick<LineCase, "bytes" | "lines"> {
  return { bytes: encoder.encode(all), lines };
}
