/**
 * What `deno doc` shows of the client: every public symbol and every member says what it is, what is called says what it
 * takes and gives, and there is an example of it. That the examples hold, `deno test --doc` and `deno check --doc` show.
 */
import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";

interface Documented {
  readonly name?: string;
  readonly jsDoc?: {
    readonly doc?: string;
    readonly tags?: readonly { readonly kind: string; readonly name?: string }[];
  };
}

interface Callable extends Documented {
  readonly params?: readonly { readonly name?: string; readonly left?: { readonly name?: string } }[];
  readonly returnType?: { readonly repr: string };
}

interface Members extends Callable {
  readonly properties?: readonly Documented[];
  readonly methods?: readonly (Callable & { readonly functionDef?: Callable })[];
  readonly constructors?: readonly Callable[];
}

interface Declaration extends Documented {
  readonly kind: string;
  readonly def?: Members;
}

interface Documentation {
  readonly nodes: Record<string, {
    readonly symbols: readonly { readonly name: string; readonly declarations: readonly Declaration[] }[];
  }>;
}

async function documentation(...entries: string[]): Promise<Documentation> {
  const files = entries.map((entry) => fromFileUrl(new URL(`../../client/${entry}`, import.meta.url)));
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["doc", "--json", ...files] }).output();
  return JSON.parse(new TextDecoder().decode(stdout));
}

function tags({ jsDoc }: Documented, kind: string): readonly (string | undefined)[] {
  return (jsDoc?.tags ?? []).filter((tag) => tag.kind === kind).map(({ name }) => name);
}

/** What is missing of a symbol's documentation. */
function missing(name: string, { kind, def = {}, ...declaration }: Declaration): string[] {
  const faults: string[] = [];
  const look = (what: string, documented: Documented): void => {
    if (!documented.jsDoc?.doc) faults.push(`${what}: description`);
  };
  const lookAtCall = (what: string, documented: Documented, { params = [], returnType }: Callable): void => {
    look(what, documented);
    const said = tags(documented, "param");
    for (const { name, left } of params) {
      const parameter = name ?? left?.name;
      if (!said.includes(parameter)) faults.push(`${what}: @param ${parameter}`);
    }
    if (returnType !== undefined && returnType.repr !== "void" && tags(documented, "return").length === 0) {
      faults.push(`${what}: @returns`);
    }
  };
  const lookForExample = (what: string, documented: Documented): void => {
    if (tags(documented, "example").length === 0) faults.push(`${what}: @example`);
  };
  if (kind === "function") lookAtCall(name, declaration, def);
  else look(name, declaration);
  lookForExample(name, declaration);
  if (tags(declaration, "category").length === 0) faults.push(`${name}: @category`);
  for (const property of def.properties ?? []) look(`${name}.${property.name}`, property);
  for (const each of def.constructors ?? []) {
    lookAtCall(`new ${name}`, each, { ...(each.params && { params: each.params }) });
  }
  for (const method of def.methods ?? []) {
    lookAtCall(`${name}.${method.name}`, method, method.functionDef ?? method);
    lookForExample(`${name}.${method.name}`, method);
  }
  return faults;
}

Deno.test("every public symbol of the client is documented, with an example", async () => {
  const { nodes } = await documentation("mod.ts", "paths.ts");
  const symbols = Object.values(nodes).flatMap(({ symbols }) => symbols);
  const own = symbols.flatMap(({ name, declarations }) =>
    declarations.filter(({ kind }) => kind !== "reference").map((declaration) => ({ name, declaration }))
  );
  assert(own.length > 100, `${own.length} symbols`);
  assertEquals(own.flatMap(({ name, declaration }) => missing(name, declaration)), []);
});

Deno.test("every type of the wire is documented, with its fields", async () => {
  const { nodes } = await documentation("protocol/mod.ts");
  const symbols = Object.values(nodes).flatMap(({ symbols }) => symbols);
  assert(symbols.length > 50, `${symbols.length} symbols`);
  const faults = symbols.flatMap(({ name, declarations }) => declarations.flatMap((one) => missing(name, one)));
  assertEquals(faults.filter((fault) => !/@(?:example|category)$/.test(fault)), []);
});

for (const name of ["ai-sdk", "langchain"]) {
  Deno.test(`every public symbol of @inferd/${name} is documented, with an example`, async () => {
    const { nodes } = await documentation(`../packages/${name}/mod.ts`);
    const own = Object.values(nodes).flatMap(({ symbols }) => symbols);
    const faults = own.flatMap(({ name, declarations }) =>
      declarations.filter((one) => !one.jsDoc?.doc || tags(one, "example").length === 0).map(() => name)
    );
    assert(own.length > 1, `${own.length} symbols`);
    assertEquals(faults, []);
  });
}
