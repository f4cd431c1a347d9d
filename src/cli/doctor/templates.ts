/** Checks whether the models' chat templates can be used, in the engine's own process and with its permissions. */
import type { DaemonOptions, LlamaBackendConfig } from "../../config/options.ts";
import { type EngineCommand, engineCommand } from "../../engine/ipc/command.ts";
import type { EngineConfig, TemplateFacts } from "../../engine/ipc/messages.ts";
import { checkModel, ModelFileError } from "../../models/file/model_file.ts";
import { describeTemplateError } from "../terminal/phases.ts";
import { askEngine, describeMissing, FETCH_HELP, type Wish, wishOf } from "./engine.ts";
import { type Finding, Findings } from "./finding.ts";
import { locateFiles } from "./models.ts";

/**
 * Start an engine for each model that reads its vocabulary and chat template and exits. Invalid model files are
 * skipped; they are reported by the check of models.
 *
 * @param command For tests; default: the engine.
 */
export async function checkTemplates(
  options: DaemonOptions,
  command: EngineCommand = engineCommand(),
): Promise<readonly Finding[]> {
  const findings = new Findings("chat template");
  for (const backend of options.backends) {
    if (backend.kind !== "llamacpp") continue;
    const { modelPath, parts } = await locateFiles(backend, options) ?? {};
    const partPaths = parts?.map(({ path }) => path);
    if (modelPath === undefined || !(await isModel(modelPath, partPaths))) continue;
    const files = { modelPath, ...(partPaths === undefined ? {} : { partPaths }) };
    await checkTemplate(backend, { wish: wishOf(backend, options), files, command, findings });
  }
  return findings.elseOk("No backend has a model that answers with text");
}

async function checkTemplate(
  { name, embed, pooling }: LlamaBackendConfig,
  { wish, files, command, findings }: {
    readonly wish: Wish;
    readonly files: Pick<EngineConfig, "modelPath" | "partPaths">;
    readonly command: EngineCommand;
    readonly findings: Findings;
  },
): Promise<void> {
  const question = {
    op: "inspect",
    ...wish,
    ...files,
    ...(embed === undefined ? {} : { embed }),
    ...(pooling === undefined ? {} : { pooling }),
  } as const;
  const { answer, missing, complaints } = await askEngine(command, question, "inspected");
  if (answer === undefined && missing !== undefined) {
    findings.warn(`Backend "${name}": skipped, because ${describeMissing(missing)}`, FETCH_HELP);
  } else if (answer === undefined) {
    findings.fail(
      `Backend "${name}": ${complaints.join(" ").slice(0, 500)}`,
      "The daemon would not start with this model: replace the file, or choose another model",
    );
  } else if (answer.templateError !== undefined) {
    findings.warn(
      `Backend "${name}": it ${describeTemplateError(answer.templateError)}`,
      "The model answers in a format it was not trained on and calls no tools: use a file of it with another template",
    );
  } else if (answer.purpose === "generate") {
    findings.ok(`Backend "${name}": it can be used, and supports ${knowledgeOf(answer)}`);
  }
}

function knowledgeOf({ tools, thinking }: TemplateFacts): string {
  if (tools && thinking) return "tools and thinking";
  return tools ? "tools" : thinking ? "thinking" : "neither tools nor thinking";
}

async function isModel(path: string, partPaths?: readonly string[]): Promise<boolean> {
  try {
    await checkModel(path, partPaths);
    return true;
  } catch (error) {
    if (error instanceof ModelFileError) return false;
    throw error;
  }
}
