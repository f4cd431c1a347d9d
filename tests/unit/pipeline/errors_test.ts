import { assertEquals } from "@std/assert";
import { BackendUnavailableError, InvalidRequestError } from "../../../src/inference/errors.ts";
import { QueueFullError } from "../../../src/pipeline/admission.ts";
import { errorFrame, FrameTooLargeError, toWireError } from "../../../src/pipeline/errors.ts";

Deno.test("every known error has its code and keeps its message", () => {
  const known: [Error, string][] = [
    [new InvalidRequestError("m"), "invalid_request"],
    [new QueueFullError("m"), "queue_full"],
    [new BackendUnavailableError("m"), "backend_unavailable"],
    [new FrameTooLargeError("m"), "frame_too_large"],
  ];
  for (const [error, code] of known) assertEquals<unknown>(toWireError(error), { code, message: "m" });
});

Deno.test("an unknown error is internal and tells nothing of itself", () => {
  for (
    const error of [new Error("secret"), new TypeError("secret"), "secret", undefined, null, { message: "secret" }]
  ) {
    assertEquals(toWireError(error), {
      code: "internal",
      message: "Internal error; the daemon's log has the details",
    });
  }
});

Deno.test("an error frame is one line in the protocol's key order", () => {
  assertEquals(
    errorFrame('i"d', { code: "queue_full", message: "two\nlines" }),
    '{"id":"i\\"d","type":"error","code":"queue_full","message":"two\\nlines"}\n',
  );
});
