/** The stand-ins for `@std/*`: they have the versions that the program asks for at least. */
import { assertEquals } from "@std/assert";
import config from "../../../deno.json" with { type: "json" };

const LINKS = new URL("../../../links/", import.meta.url);

Deno.test("each @std package is asked for in the version of its stand-in, or later ones", () => {
  const standIns = [...Deno.readDirSync(LINKS)].map(({ name: folder }) => {
    const { name, version } = JSON.parse(Deno.readTextFileSync(new URL(`${folder}/deno.json`, LINKS)));
    return [name, `jsr:${name}@^${version}`];
  });
  const asked = Object.entries(config.imports).filter(([name]) => name.startsWith("@std/"));
  assertEquals(Object.fromEntries(asked), Object.fromEntries(standIns));
});
