/** Findings of `inferd doctor`, one per check. */
import { typed } from "../../config/setting/typed_command.ts";
import { errorText } from "../../log/error_text.ts";

/** Severity. A daemon would run despite warnings. */
export type Level = "ok" | "warn" | "fail";

export interface Finding {
  readonly level: Level;
  readonly check: string;
  readonly message: string;
  /** The remedy; every failure has one. */
  readonly help?: string;
}

/** Collects the findings of one check. */
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

  /** The findings, or a success message if there are none. */
  elseOk(message: string): readonly Finding[] {
    if (this.#list.length === 0) this.ok(message);
    return this.#list;
  }
}

/** Run a check; an error becomes a finding. */
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
      findings.fail(`Skipped: ${errorText(error)}`, "Let this user read it");
    } else {
      findings.fail(errorText(error), "See what the message says");
    }
    return findings.list;
  }
}
