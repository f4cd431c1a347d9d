/** What `inferd doctor` says: one finding for each thing it looked at. */
import { typed } from "../../config/setting/typed_command.ts";

/** How bad it is. With warnings alone, the daemon would run. */
export type Level = "ok" | "warn" | "fail";

/** What came of looking at one thing. */
export interface Finding {
  readonly level: Level;
  /** What was looked at. */
  readonly check: string;
  readonly message: string;
  /** What to do about it; every failure has one. */
  readonly help?: string;
}

/** Makes the findings of one check. */
export class Findings {
  readonly #check: string;
  readonly #list: Finding[] = [];

  constructor(check: string) {
    this.#check = check;
  }

  get list(): readonly Finding[] {
    return this.#list;
  }

  ok(message: string): void {
    this.#list.push({ level: "ok", check: this.#check, message });
  }

  warn(message: string, help: string): void {
    this.#list.push({ level: "warn", check: this.#check, message, help });
  }

  fail(message: string, help: string): void {
    this.#list.push({ level: "fail", check: this.#check, message, help });
  }

  /** Where nothing was found wrong. */
  elseOk(message: string): readonly Finding[] {
    if (this.#list.length === 0) this.ok(message);
    return this.#list;
  }
}

/**
 * Run a check; what it cannot do is a finding, too.
 *
 * @param check What is looked at.
 * @param look Looks at it.
 * @returns The findings.
 */
export async function attempt(
  check: string,
  look: () => Promise<readonly Finding[]> | readonly Finding[],
): Promise<readonly Finding[]> {
  try {
    return await look();
  } catch (error) {
    const findings = new Findings(check);
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    if (cause instanceof Deno.errors.NotCapable) {
      findings.fail(`Skipped: ${cause.message}`, `Run it with the flags of "${typed("permissions doctor")}"`);
    } else if (cause instanceof Deno.errors.PermissionDenied) {
      findings.fail(`Skipped: ${textOf(error)}`, "Let this user read it");
    } else {
      findings.fail(textOf(error), "See what the message says");
    }
    return findings.list;
  }
}

/** An error's words. */
export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What is at a path, not following it; `undefined`: nothing. */
export function look(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return undefined;
    throw error;
  }
}
