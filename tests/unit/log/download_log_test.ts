import { assertEquals } from "@std/assert";
import { DownloadLog } from "../../../src/log/download_log.ts";
import { LogRecorder } from "../../support/log_recorder.ts";

/** Takes phases at times that the test says; `at` seconds, so many of 200 bytes. */
class Downloads {
  readonly log = new LogRecorder();
  #now = 0;
  readonly #downloads = new DownloadLog(this.log, () => this.#now);

  see(at: number, bytes: number, { source = "a", total = 200 as number | null } = {}): void {
    this.#now = at * 1000;
    this.#downloads.see({ phase: "download", downloaded_bytes: bytes, total_bytes: total, source_url: source });
  }

  get told(): unknown[] {
    return this.log.of("download").map(({ fields }) => [fields.source, fields.downloaded_bytes, fields.percent]);
  }
}

Deno.test("DownloadLog tells the beginning, something every 5 s, and the end", () => {
  const downloads = new Downloads();
  for (const [at, bytes] of [[0, 0], [1, 10], [4, 50], [5, 60], [6, 70], [12, 150], [12, 199], [13, 200]] as const) {
    downloads.see(at, bytes);
  }
  assertEquals(downloads.told, [["a", 0, 0], ["a", 60, 30], ["a", 150, 75], ["a", 200, 100]]);
});

Deno.test("DownloadLog tells of several downloads apart, and of each again when it begins again", () => {
  const downloads = new Downloads();
  downloads.see(0, 0);
  downloads.see(0, 0, { source: "b" });
  downloads.see(1, 200);
  downloads.see(2, 0);
  assertEquals(downloads.told, [["a", 0, 0], ["b", 0, 0], ["a", 200, 100], ["a", 0, 0]]);
});

Deno.test("DownloadLog says nothing of what is whole from the start, and no part of what has no known length", () => {
  const downloads = new Downloads();
  downloads.see(0, 200);
  assertEquals(downloads.told, []);
  downloads.see(0, 5, { total: null });
  assertEquals(downloads.told, [["a", 5, undefined]]);
});
