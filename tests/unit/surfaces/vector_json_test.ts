import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { MIN_BYTES_PER_NUMBER, roundVector, VectorWriter } from "../../../src/surfaces/vector_json.ts";

Deno.test("a vector is written with nine digits behind the point", () => {
  const writer = new VectorWriter(6);
  assertEquals(
    writer.write(Float32Array.of(0, 1, -1, 0.5, -0.25, 2 ** -20)),
    "[0.000000000,1.000000000,-1.000000000,0.500000000,-0.250000000,0.000000954]",
  );
  assertEquals(writer.write(Float32Array.of(-0, -1e-12, 1e-9, 1 + 2 ** -23, 0, 0)).split(",").slice(0, 4), [
    "[0.000000000",
    "-0.000000000",
    "0.000000001",
    "1.000000119",
  ]);
});

Deno.test("a vector of any length reads back to 1e-9, and is of unit length", () => {
  for (const dimensions of [1, 2, 3, 128, 1024, 4096]) {
    const raw = Float32Array.from({ length: dimensions }, (_, index) => Math.sin(index * index + 1));
    const length = Math.hypot(...raw);
    const vector = raw.map((value) => value / length);
    const text = new VectorWriter(dimensions).write(vector);
    const read: number[] = JSON.parse(text);
    assertEquals(read.length, dimensions);
    for (const [index, value] of read.entries()) assertAlmostEquals(value, vector[index] ?? NaN, 1e-9);
    assertAlmostEquals(Math.hypot(...read), 1, 1e-6);
    assertEquals(text.length + 1 >= dimensions * MIN_BYTES_PER_NUMBER, true);
  }
});

Deno.test("a vector that is none of unit length, or of another length, is not written", () => {
  for (const value of [NaN, Infinity, -Infinity, 2, -2, 1e30]) {
    assertThrows(() => new VectorWriter(1).write(Float32Array.of(value)), Error, "A vector of unit length holds");
  }
  assertThrows(() => new VectorWriter(2).write(Float32Array.of(1)), Error, "A vector has another length");
});

Deno.test("roundVector gives the numbers that are written", () => {
  const vector = Float32Array.of(0.1, -0.7, 1, -1, 0, -1e-12, 1e-12, 1 / 3, -0.123456789);
  const written = JSON.parse(new VectorWriter(vector.length).write(vector));
  // As JSON, which has one zero.
  assertEquals(JSON.stringify(roundVector(vector)), JSON.stringify(written));
  assertThrows(() => roundVector(Float32Array.of(NaN)), Error, "holds NaN");
  assertThrows(() => roundVector(Float32Array.of(2)), Error, "holds 2");
});
