/**
 * What the compiler makes of schemas of other libraries: type equalities that hold, or this file does not compile. Never
 * run.
 */
import { Type as OldBox } from "@sinclair/typebox";
import { type as arktype } from "arktype";
import { Type as Box } from "typebox";
import * as v from "valibot";
import { z } from "zod";
import { type Client, tool } from "../../client/mod.ts";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;

/** Takes `true` types only. */
function holds<_Fact extends true>(): void {}

/** What other libraries say of their schemas. */
export async function libraries(client: Client): Promise<void> {
  const fromZod = await client.generateObject("?", {
    schema: z.object({ name: z.string(), age: z.optional(z.int()) }),
  });
  holds<Same<typeof fromZod, { name: string; age?: number | undefined }>>();
  const fromValibot = await client.generateObject("?", {
    schema: v.object({ name: v.string(), age: v.optional(v.number()) }),
  });
  holds<Same<typeof fromValibot, { name: string; age?: number | undefined }>>();
  const fromArk = await client.generateObject("?", { schema: arktype({ name: "string", "age?": "number" }) });
  holds<Same<typeof fromArk, { name: string; age?: number }>>();
  const fromOldBox = await client.generateObject("?", {
    schema: OldBox.Object({ name: OldBox.String(), age: OldBox.Optional(OldBox.Integer()) }),
  });
  holds<Same<typeof fromOldBox, { name: string; age?: number }>>();
  const fromBox = await client.generateObject("?", {
    schema: Box.Object({
      name: Box.String(),
      age: Box.Optional(Box.Integer()),
      tags: Box.Array(Box.Union([Box.Literal("a"), Box.Null()])),
      level: Box.Enum(["low", "high"]),
    }),
  });
  holds<Same<typeof fromBox, { name: string; tags: ("a" | null)[]; level: "low" | "high"; age?: number }>>();

  tool({ description: "", inputSchema: z.object({ city: z.string() }), run: ({ city }) => city.length });
  tool({ description: "", inputSchema: v.object({ city: v.string() }), run: ({ city }) => city.length });
  tool({ description: "", inputSchema: arktype({ city: "string" }), run: ({ city }) => city.length });
  tool({ description: "", inputSchema: OldBox.Object({ city: OldBox.String() }), run: ({ city }) => city.length });
  tool({ description: "", inputSchema: Box.Object({ city: Box.String() }), run: ({ city }) => city.length });
}
